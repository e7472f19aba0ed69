"""docs/queue-states.md and the table in the code are one."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.outgoing.queue.states import FINISHED, LIVE, TRANSITIONS, State

_PAGE = Path(__file__).parents[4] / "docs" / "queue-states.md"
_ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)


def _words(cell: str) -> set[str | None]:
    return {None if word == "—" else word.strip("`") for word in (part.strip() for part in cell.split(","))}


def test_the_page_lists_every_step_as_the_code_has_it() -> None:
    on_page = {step: (_words(leave), _words(enter)) for step, leave, enter in _ROW.findall(_PAGE.read_text())}
    in_code = {
        step.value: ({s and s.value for s in leave}, {s.value for s in enter})
        for step, (leave, enter) in TRANSITIONS.items()
    }
    assert on_page == in_code


def test_the_page_names_every_state() -> None:
    named = re.findall(r"^\| `([a-z]+)` \|", _PAGE.read_text(), re.MULTILINE)
    assert named == [state.value for state in State]


def test_nothing_leaves_a_finished_state() -> None:
    for step, (leave, _) in TRANSITIONS.items():
        assert not leave & set(FINISHED), step
    assert set(LIVE) | set(FINISHED) == set(State)
