"""How each kind of value in a document is read, shown, and explained when it is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from gateway.control.policies.patterns import parse_glob
from gateway.control.policies.quantities import parse_duration, parse_size, shown_duration, shown_size

Value = int | str | bool | tuple[str, ...] | None
"""A setting as it is kept: numbers in octets, seconds or pieces; None is `"unlimited"`."""

UNLIMITED_WORD = "unlimited"
LARGEST = 10**15

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN_PART = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+*-]+/[a-z0-9!#$&^_.+*-]+")


class Reader(Protocol):
    """A kind of value."""

    @property
    def allowed(self) -> str:
        """What may stand there, for people."""
        ...

    def read(self, value: object) -> Value:
        """The value as it is kept. Raises ValueError; its text (may be empty) says why."""
        ...

    def show(self, value: Value) -> str:
        """The value as a document writes it, without quotes."""
        ...


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number, or `"unlimited"` where that may be."""

    least: int = 0
    most: int = LARGEST
    unlimited: bool = True

    @property
    def allowed(self) -> str:
        """What may stand there."""
        text = f"a whole number of at least {self.least}"
        if self.most < LARGEST:
            text = f"a whole number from {self.least} to {self.most}"
        return text + (f' or "{UNLIMITED_WORD}"' if self.unlimited else "")

    def read(self, value: object) -> Value:
        """The number."""
        if value == UNLIMITED_WORD and self.unlimited:
            return None
        # A boolean is an int to Python, but no number to people.
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            raise ValueError
        return value

    def show(self, value: Value) -> str:
        """The number."""
        return UNLIMITED_WORD if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Size:
    """Octets: a number, a text with a unit, or `"unlimited"`."""

    @property
    def allowed(self) -> str:
        """What may stand there."""
        return (
            f'a size such as "25 MiB" (B, KB, MB, GB, TB, KiB, MiB, GiB, TiB), octets, or "{UNLIMITED_WORD}"'
        )

    def read(self, value: object) -> Value:
        """The octets."""
        if value == UNLIMITED_WORD:
            return None
        octets = parse_size(value) if isinstance(value, str) else value
        if not isinstance(octets, int) or isinstance(octets, bool) or not 0 <= octets <= LARGEST:
            raise ValueError
        return octets

    def show(self, value: Value) -> str:
        """With the largest unit that is exact."""
        return shown_size(value) if isinstance(value, int) else UNLIMITED_WORD


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds, written with units; `"unlimited"` where that may be."""

    least: int = 1
    most: int = 10 * 366 * 86_400
    unlimited: bool = False

    @property
    def allowed(self) -> str:
        """What may stand there."""
        span = f"{shown_duration(self.least)} to {shown_duration(self.most)}"
        return f'a duration such as "3d", "8h" or "90m", {span}' + (
            f', or "{UNLIMITED_WORD}"' if self.unlimited else ""
        )

    def read(self, value: object) -> Value:
        """The seconds."""
        if value == UNLIMITED_WORD and self.unlimited:
            return None
        seconds = parse_duration(value) if isinstance(value, str) else -1
        if not self.least <= seconds <= self.most:
            raise ValueError
        return seconds

    def show(self, value: Value) -> str:
        """With units."""
        return shown_duration(value) if isinstance(value, int) else UNLIMITED_WORD


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """What may stand there."""
        return " or ".join(f'"{word}"' for word in self.words)

    def read(self, value: object) -> Value:
        """The word."""
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return value

    def show(self, value: Value) -> str:
        """The word."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    @property
    def allowed(self) -> str:
        """What may stand there."""
        return "true or false"

    def read(self, value: object) -> Value:
        """The flag."""
        if not isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - callers turn ValueError into a problem of the document
        return value

    def show(self, value: Value) -> str:
        """As TOML writes it."""
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a location, stream or document."""

    @property
    def allowed(self) -> str:
        """What may stand there."""
        return "a name: 1 to 63 of a-z, 0-9, - and _, a letter or digit first"

    def read(self, value: object) -> Value:
        """The name."""
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise ValueError
        return value

    def show(self, value: Value) -> str:
        """The name."""
        return str(value)


@dataclass(frozen=True, slots=True)
class ShardNames:
    """The relative names of shards, such as `"s1.mail"`."""

    @property
    def allowed(self) -> str:
        """What may stand there."""
        return 'a list of names below the zone, such as ["s1.mail"], each once'

    def read(self, value: object) -> Value:
        """The names."""
        names = _texts(value)
        if not all(_DOMAIN_PART.fullmatch(name) for name in names) or len(set(names)) < len(names):
            raise ValueError
        return names

    def show(self, value: Value) -> str:
        """As TOML writes it."""
        return _shown_list(value)


@dataclass(frozen=True, slots=True)
class BlockedAttachments:
    """Media types (`application/x-dosexec`, `video/*`) and globs of file names (`*.exe`)."""

    @property
    def allowed(self) -> str:
        """What may stand there."""
        return 'a list of media types ("application/x-dosexec", "video/*") and file names ("*.exe")'

    def read(self, value: object) -> Value:
        """The entries in lower case."""
        entries = tuple(entry.lower() for entry in _texts(value))
        for entry in entries:
            parse_glob(entry)
            if "/" in entry and not _MEDIA_TYPE.fullmatch(entry):
                raise ValueError(f'"{entry}" is no media type')
            if "/" not in entry and not set("*.") & set(entry):
                raise ValueError(
                    f'"{entry}" is neither a media type nor a file name (did you mean "*.{entry}"?)'
                )
        return entries

    def show(self, value: Value) -> str:
        """As TOML writes it."""
        return _shown_list(value)


def shown_raw(value: object) -> str:
    """A value of a document, for a message about it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "..."
        return '"' + text.encode("unicode_escape").decode("ascii") + '"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return str(value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 1000:
        raise ValueError
    if not all(isinstance(entry, str) and 0 < len(entry) <= 200 for entry in value):
        raise ValueError
    return tuple(value)


def _shown_list(value: Value) -> str:
    entries = value if isinstance(value, tuple) else ()
    return "[" + ", ".join(f'"{entry}"' for entry in entries) + "]"
