"""TOML that remembers on which line each key stands, so that a mistake in a file can be pointed at.

`tomllib` knows lines only for syntax errors. It parses and judges here too; the locator then walks the
same text, which is valid by then, and notes where every key and array element begins.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]
"""Keys and array indexes from the top: `("rules", 0, "name")`."""

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_BASIC = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL = re.compile(r"'[^']*'")
# At most five quotes end a long string: two may be its own last characters.
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}", re.DOTALL)
_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a file: `line` counts from 1 (0: the file as a whole), `key` is dotted ("" for none).

    `message` tells people all of it; `allowed` is what may stand there ("" where that is not the question).
    """

    file: str
    line: int
    key: str
    message: str
    allowed: str = ""

    def __str__(self) -> str:
        """`file:line: key: message`, as compilers write it."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


class TomlSyntaxError(ValueError):
    """The text is not TOML: `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class TomlDocument:
    """A parsed TOML text: `data` as `tomllib` gives it, and the line of each key in it."""

    file: str
    data: Mapping[str, Any]
    _lines: Mapping[Path, int] = field(repr=False)

    def line_of(self, path: Path) -> int:
        """The line on which `path` stands, or its nearest part that is there; 1 if none is."""
        while path:
            line = self._lines.get(path)
            if line is not None:
                return line
            path = path[:-1]
        return 1

    def problem(self, path: Path, message: str, allowed: str = "") -> Problem:
        """What is wrong with the value (or the lack of one) at `path`."""
        return Problem(self.file, self.line_of(path), dotted(path), message, allowed)


def dotted(path: Path) -> str:
    """A path as people write it: `rules[0].name`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if _BARE_KEY.fullmatch(part) else '"' + part.replace('"', '\\"') + '"'
            text += f".{word}" if text else word
    return text


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """` (did you mean "x"?)` if one of `allowed` is near `word`, else an empty text."""
    near = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""


def parse_toml(text: str, file: str) -> TomlDocument:
    """Parse `text`; `file` is the name to show in problems.

    Raises TomlSyntaxError.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlSyntaxError(_syntax_problem(str(error), text, file)) from error
    except RecursionError as error:
        raise TomlSyntaxError(Problem(file, 1, "", "nested too deeply")) from error
    return TomlDocument(file, data, _Locator(text.replace("\r\n", "\n")).lines())


def _syntax_problem(message: str, text: str, file: str) -> Problem:
    place = _SYNTAX_PLACE.search(message)
    if place is None:
        return Problem(file, 1, "", message)
    said = message[: place.start()]
    if place[1] is None:
        last = max(1, len(text.splitlines()))
        return Problem(file, last, "", f"{said} at the end of the file")
    return Problem(file, int(place[1]), "", f"{said} at column {place[2]}")


class _Locator:
    """Walks a valid TOML text once. Of a path written several times (a table reopened) the first counts."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._lines: dict[Path, int] = {}
        self._table: Path = ()
        # How many elements each array of tables has so far, by the path of the array.
        self._elements: dict[Path, int] = {}

    def lines(self) -> dict[Path, int]:
        """The line of every path."""
        while True:
            self._skip(_GAP)
            if self._at >= len(self._text):
                return self._lines
            if self._peek("[["):
                self._header(2)
            elif self._peek("["):
                self._header(1)
            else:
                self._pair(self._table)

    def _header(self, brackets: int) -> None:
        line = self._current_line()
        self._at += brackets
        self._skip(_SPACE)
        path: Path = ()
        keys = self._keys()
        for position, key in enumerate(keys):
            path = (*path, key)
            self._lines.setdefault(path, line)
            if brackets == 2 and position == len(keys) - 1:
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                # A header below an array of tables speaks of its last element.
                path = (*path, self._elements[path] - 1)
                self._lines.setdefault(path, line)
        self._skip(_SPACE)
        self._at += brackets
        self._table = path

    def _pair(self, base: Path) -> None:
        line = self._current_line()
        path = base
        for key in self._keys():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._skip(_SPACE)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._peek("["):
            self._array(path)
        elif self._peek("{"):
            self._inline_table(path)
        elif self._peek('"""'):
            self._skip(_LONG_BASIC)
        elif self._peek("'''"):
            self._skip(_LONG_LITERAL)
        elif self._peek('"'):
            self._skip(_BASIC)
        elif self._peek("'"):
            self._skip(_LITERAL)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_GAP)
            if self._peek("]"):
                self._at += 1
                return
            self._lines.setdefault((*path, index), self._current_line())
            self._value((*path, index))
            index += 1
            self._skip(_GAP)
            if self._peek(","):
                self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while True:
            self._skip(_GAP)
            if self._peek("}"):
                self._at += 1
                return
            self._pair(path)
            self._skip(_GAP)
            if self._peek(","):
                self._at += 1

    def _keys(self) -> tuple[str, ...]:
        """A dotted key; quotes are resolved by the parser of TOML itself."""
        keys: list[str] = []
        while True:
            start = self._at
            self._skip(_BASIC if self._peek('"') else _LITERAL if self._peek("'") else _BARE_KEY)
            written = self._text[start : self._at]
            keys.append(next(iter(tomllib.loads(f"{written} = 0"))) if written[0] in "\"'" else written)
            self._skip(_SPACE)
            if not self._peek("."):
                return tuple(keys)
            self._at += 1
            self._skip(_SPACE)

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()

    def _current_line(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line
