"""What a check finds. Pure values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["green", "amber", "red"]

_ORDER: tuple[Level, ...] = ("green", "amber", "red")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    `name`: which check; `subject`: what it looked at. `fix`: what to do, None where nothing is. Amber: mail
    leaves, but may be trusted less, or something ends soon; red: mail is refused or lost, or will be.
    """

    name: str
    subject: str
    level: Level
    detail: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found, the worst first; `level` is the worst. `checked_at`: seconds since 1970."""

    level: Level
    checked_at: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at. `run` blocks, for seconds at most; it may raise OSError or DatabaseAway."""

    name: str
    subject: str
    run: Callable[[], Finding | Iterable[Finding]]


def report_of(findings: Iterable[Finding], now: float) -> Report:
    """The worst first, otherwise in the order of their checks."""
    rows = sorted(findings, key=lambda one: -_ORDER.index(one.level))
    return Report(rows[0].level if rows else "green", now, tuple(rows))
