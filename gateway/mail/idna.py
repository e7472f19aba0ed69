"""Domain names in their two forms: U-labels as people write them, A-labels as DNS has them (RFC 5891).

The standard library's `idna` codec is IDNA 2003, which maps `ß` to `ss`: two owners' domains would
become one. So the rules of IDNA 2008 (RFC 5892) stand here, without its context rules: what would need
one (joiners, middle dots) is refused.
"""

from __future__ import annotations

import unicodedata

LABEL_LIMIT = 63

_LETTERS_DIGITS_MARKS = frozenset({"Ll", "Lo", "Lm", "Mn", "Mc", "Nd"})
_ALLOWED_EXCEPTIONS = frozenset("ßς་〇")
_DISALLOWED_EXCEPTIONS = frozenset("ـߺ〮〯〱〲〳〴〵〻")


class DomainError(ValueError):
    """No internationalised domain name. The text says which rule it breaks."""


def to_ascii(domain: str) -> str:
    """The domain in lower-case A-labels: `Bücher.example` becomes `xn--bcher-kva.example`.

    ASCII labels come back in lower case, unchecked. Raises DomainError for a label that IDNA 2008
    does not know.
    """
    if domain.isascii():
        return domain.lower()
    return ".".join(label.lower() if label.isascii() else _encode_label(label) for label in domain.split("."))


def _encode_label(label: str) -> str:
    text = unicodedata.normalize("NFC", label.lower())
    if text[0] == "-" or text[-1] == "-" or text[2:4] == "--":
        raise DomainError(f"the domain label {label!r} has hyphens where none may be")
    if unicodedata.category(text[0]).startswith("M"):
        raise DomainError(f"the domain label {label!r} begins with a combining mark")
    for character in text:
        if not _is_allowed(character):
            raise DomainError(f"U+{ord(character):04X} may not stand in the domain label {label!r}")
    encoded = "xn--" + text.encode("punycode").decode("ascii")
    if len(encoded) > LABEL_LIMIT:
        raise DomainError(f"the domain label {label!r} is longer than {LABEL_LIMIT} octets as an A-label")
    return encoded


def _is_allowed(character: str) -> bool:
    """RFC 5892 §3: letters, digits and marks that compatibility folding leaves as they are."""
    if character.isascii():
        return character.isalnum() or character == "-"
    if character in _ALLOWED_EXCEPTIONS:
        return True
    if character in _DISALLOWED_EXCEPTIONS or unicodedata.category(character) not in _LETTERS_DIGITS_MARKS:
        return False
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
    return folded == character
