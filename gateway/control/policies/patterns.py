"""Patterns that rules match texts with: globs, and expressions between slashes. Both in linear time.

    *.pdf            a glob over the whole text: `*` anything, `?` one character, `[a-z]`, `[!a-z]`
    /invoice-\\d+/    an expression, found anywhere in the text unless `^` and `$` hold it

No text makes them slow, whoever wrote it: a glob is searched piece by piece from the left, an expression
(`gateway.control.policies.expressions`) runs as an automaton. Case is ignored by both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from gateway.control.policies.expressions import Expression, PatternError

PATTERN_LIMIT = 200
"""Characters of a pattern as written."""

_CLASS = re.compile(r"\[!?\]?[^\]]*\]")


class Pattern(Protocol):
    """Something that a text matches or not."""

    @property
    def text(self) -> str:
        """The pattern as written."""
        ...

    def matches(self, value: str) -> bool:
        """Whether `value` (casefolded by the caller) matches."""
        ...


@dataclass(frozen=True, slots=True)
class Glob:
    """A glob, cut at its stars: the first piece stands at the start, the last at the end."""

    text: str
    pieces: tuple[re.Pattern[str], ...]
    lengths: tuple[int, ...]

    def matches(self, value: str) -> bool:
        """Whether the whole of `value` (casefolded) matches.

        Taking each middle piece as far left as it goes is enough: nothing is ever tried again.
        """
        first = self.pieces[0]
        if len(self.pieces) == 1:
            return first.fullmatch(value) is not None
        if first.match(value) is None:
            return False
        position = self.lengths[0]
        for piece in self.pieces[1:-1]:
            found = piece.search(value, position)
            if found is None:
                return False
            position = found.end()
        tail = len(value) - self.lengths[-1]
        return tail >= position and self.pieces[-1].match(value, tail) is not None


def parse_pattern(text: str) -> Pattern:
    """The pattern `text` is. Raises PatternError with what is wrong and where."""
    if len(text) > PATTERN_LIMIT:
        raise PatternError(f"a pattern has at most {PATTERN_LIMIT} characters, this has {len(text)}")
    if not text:
        raise PatternError("the pattern is empty")
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        return Expression.parse(text)
    return parse_glob(text)


def parse_glob(text: str) -> Glob:
    """The glob `text` is. Raises PatternError."""
    pieces: list[list[str]] = [[]]
    position = 0
    while position < len(text):
        character = text[position]
        if character == "*":
            pieces.append([])
        elif character == "?":
            pieces[-1].append(".")
        elif character == "[":
            part = _CLASS.match(text, position)
            if part is None:
                raise PatternError(
                    f"the [ at character {position + 1} has no ]; write [[] for the sign itself"
                )
            pieces[-1].append(_character_class(part[0]))
            position = part.end() - 1
        else:
            pieces[-1].extend(map(re.escape, character.casefold()))
        position += 1
    # Stars in a row leave empty pieces between them; they say nothing.
    inner = [piece for piece in pieces[1:-1] if piece]
    kept = [pieces[0], *inner, pieces[-1]] if len(pieces) > 1 else pieces
    try:
        compiled = tuple(re.compile("".join(piece), re.DOTALL | re.IGNORECASE) for piece in kept)
    except re.error as error:
        raise PatternError(f"no glob: {error}") from error
    return Glob(text, compiled, tuple(len(piece) for piece in kept))


def _character_class(part: str) -> str:
    negated = part.startswith("[!")
    inner = part[2 if negated else 1 : -1]
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner)
    if not inner:
        raise PatternError("an empty [] matches nothing")
    return f"[{'^' if negated else ''}{escaped}]"
