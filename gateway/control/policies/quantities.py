"""Sizes and durations as people write them in documents, and back."""

from __future__ import annotations

import re

_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))? ?([kKMGT]i?B|B)")
_UNITS = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "kiB": 1 << 10,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_DURATION = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_DURATION_PART = re.compile(r"([0-9]+)([smhdw])")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def parse_size(text: str) -> int:
    """Octets of `"25 MiB"`, `"1.5 GB"`, `"512 B"`. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is no size')
    unit = _UNITS[match[3]]
    fraction = match[2] or ""
    return int(match[1]) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def shown_size(octets: int) -> str:
    """The shortest exact form: `25 MiB`, `1500 B`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if octets and octets % _UNITS[unit] == 0:
            return f"{octets // _UNITS[unit]} {unit}"
    return f"{octets} B"


def parse_duration(text: str) -> int:
    """Seconds of `"3d"`, `"8h"`, `"1d12h"`; units w, d, h, m, s. Raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f'"{text}" is no duration')
    return sum(int(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def shown_duration(seconds: int) -> str:
    """The form documents have: `3d`, `1d12h`."""
    text = ""
    for unit in "dhms":
        count, seconds = divmod(seconds, _SECONDS[unit])
        if count:
            text += f"{count}{unit}"
    return text or "0s"
