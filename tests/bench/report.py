"""The figures as text: a line for each measurement, then medians and ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.measure import Figures

ANCHOR = "postfix"
_SHOWN = (
    ("accepted_per_second", "acc./s", 9, ".0f"),
    ("delivered_per_second", "deliv./s", 9, ".0f"),
    ("p50_ms", "p50 ms", 8, ".1f"),
    ("p99_ms", "p99 ms", 8, ".1f"),
    ("cpu_per_1000", "CPU s/1000", 11, ".2f"),
    ("pss_mb", "PSS MB", 8, ".0f"),
)
_RATIOS = ("accepted_per_second", "delivered_per_second", "p99_ms", "cpu_per_1000", "pss_mb")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. `load_average`: the machine's one-minute load just before it."""

    round: int
    scenario: str
    target: str
    figures: Figures
    load_average: float


def heading(first: str = "round") -> str:
    """The heading of the table."""
    return f"{first:<7}{'scenario':<15}{'target':<18}" + "".join(
        f"{title:>{width}}" for _, title, width, _ in _SHOWN
    )


def line(row: Row) -> str:
    """One measurement as a line of the table."""
    problems = "".join(f"\n        ! {problem}" for problem in row.figures.problems)
    return _line(str(row.round), row.scenario, row.target, row.figures) + problems


def _line(first: str, scenario: str, target: str, figures: Figures) -> str:
    cells = (f"{getattr(figures, name):>{width}{form}}" for name, _, width, form in _SHOWN)
    return f"{first:<7}{scenario:<15}{target:<18}" + "".join(cells)


def machine() -> str:
    """What the figures were taken on, without its name."""
    return f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def summary(rows: Sequence[Row]) -> str:
    """Medians over the rounds, and the medians of the ratios inside each round."""
    lines = ["", heading("median")]
    ratios = ["", "ratios to the anchor inside one round, median (lowest to highest)"]
    for scenario in dict.fromkeys(row.scenario for row in rows):
        of_scenario = [row for row in rows if row.scenario == scenario]
        for target in dict.fromkeys(row.target for row in of_scenario):
            chosen = [row.figures for row in of_scenario if row.target == target]
            lines.append(_line("", scenario, target, medians(chosen)))
            if target != ANCHOR and (found := _ratios(of_scenario, target)):
                ratios.append(f"  {scenario:<15}{target:<18}{found}")
    return "\n".join(lines + (ratios if len(ratios) > 2 else []))


def medians(figures: Iterable[Figures]) -> Figures:
    """The median of each figure."""
    several = list(figures)
    return Figures(
        *(
            median(getattr(one, name) for one in several)
            for name in Figures.__dataclass_fields__
            if name != "problems"
        )
    )


def ratios(rows: Iterable[Row], target: str, name: str) -> list[float]:
    """A figure of `target` over that of the anchor, for each round that has both."""
    by_place = {(row.round, row.target): getattr(row.figures, name) for row in rows}
    rounds = sorted({number for number, _ in by_place})
    pairs = ((by_place.get((number, target)), by_place.get((number, ANCHOR))) for number in rounds)
    return [ours / theirs for ours, theirs in pairs if ours is not None and theirs]


def _ratios(rows: Sequence[Row], target: str) -> str:
    titles = {name: title for name, title, _, _ in _SHOWN}
    parts = []
    for name in _RATIOS:
        values = ratios(rows, target, name)
        if values:
            word = titles[name].split()[0]
            parts.append(f"{word} {median(values):.2f}x ({min(values):.2f} to {max(values):.2f})")
    return "  ".join(parts)
