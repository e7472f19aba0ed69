"""Labels that deceive: letters of two scripts that look alike, or one script's that pass for another's.

UTS #39 §4 and §5.1, in small: the tables are the letters of Unicode's list of confusables that may stand in
a domain and that look like a Latin letter.
"""

from __future__ import annotations

import unicodedata
from types import MappingProxyType

_LIKE_LATIN = MappingProxyType(
    {
        "CYRILLIC": frozenset("асԁеҽгһіӏјорԛѕѵѡԝхуү"),
        "GREEK": frozenset("αγικνορσςυ"),
        "ARMENIAN": frozenset("ագզհյոռսցքօ"),
        "CHEROKEE": frozenset("ᎠᎡᎢᎥᎩᎪᎫᎬᎳᎷᎻᏀᏂᏃᏆᏎᏒᏔᏕᏙᏚᏞᏟᏢᏦᏧᏳᏴ"),
    }
)
_SCRIPTS = ("LATIN", *_LIKE_LATIN)


def deception(label: str, top: str) -> str | None:
    """What is wrong with a label in Unicode, of a name that ends with the label `top`; None: nothing.

    A word that happens to have only such letters is good below a top level of its own script.
    """
    scripts = _scripts(label)
    if len(scripts) > 1:
        mixed = " and ".join(sorted(script.title() for script in scripts))
        return f"the label {label!r} mixes {mixed} letters, which look alike"
    for script in scripts & _LIKE_LATIN.keys():
        letters = {character for character in label if character.isalpha()}
        if letters <= _LIKE_LATIN[script] and script not in _scripts(top):
            return f"the label {label!r} has only {script.title()} letters that look like Latin ones"
    return None


def _scripts(label: str) -> set[str]:
    """Those of the scripts above that a label has letters of."""
    names = [unicodedata.name(character, "") for character in label]
    return {script for script in _SCRIPTS if any(name.startswith(f"{script} ") for name in names)}
