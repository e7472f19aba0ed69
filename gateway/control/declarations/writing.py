"""Things that are there, as files declare them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.control.declarations.values import Value

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WIDTH = 100


def table(header: str, fields: Mapping[str, Value], remark: str | None = None) -> str:
    """One `[[header]]` with its fields; what is None or empty is left out."""
    lines = [f"[[{header}]]"] + ([f"# {remark}"] if remark is not None else [])
    lines += [f"{name} = {written(value)}" for name, value in fields.items() if _is_said(value)]
    return "\n".join(lines) + "\n"


def written(value: Value) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {_text(one)}" for key, one in sorted(value.items()))
        return f"{{ {pairs} }}"
    if isinstance(value, tuple):
        line = "[" + ", ".join(map(_text, value)) + "]"
        return line if len(line) <= _WIDTH else "[\n" + "".join(f"    {_text(one)},\n" for one in value) + "]"
    return _text(value or "")


def _is_said(value: Value) -> bool:
    return value is not None and value != () and value != {}


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    # TOML wants every control character escaped, DEL too.
    return f"\\u{ord(character):04x}" if ord(character) < 0x20 or ord(character) == 0x7F else character
