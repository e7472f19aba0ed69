"""Records in memory, by id and in groups."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.directory.table import Table


@dataclass(frozen=True)
class Thing:
    id: str
    colour: str


def coloured(thing: Thing) -> str:
    return thing.colour


steps = st.lists(
    st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["red", "blue", None]), max_size=3), max_size=8
)


@given(steps)
def test_changes_end_in_the_same_table_as_a_fresh_one(steps: list[dict[str, str | None]]) -> None:
    table: Table[str, Thing] = Table(coloured)
    model: dict[str, Thing] = {}
    for step in steps:
        before = table
        whole_before = dict(model)
        changes = {key: Thing(key, colour) if colour else None for key, colour in step.items()}
        table = table.with_changes(changes)
        for key, thing in changes.items():
            model.pop(key, None)
            if thing is not None:
                model[key] = thing
        fresh = Table(coloured, model.values())
        for key in "abcde":
            assert table.get(key) == fresh.get(key) == model.get(key)
            assert before.get(key) == whole_before.get(key)
        for colour in ("red", "blue"):
            expected = tuple(model[key] for key in sorted(model) if model[key].colour == colour)
            assert table.group(colour) == fresh.group(colour) == expected
            assert table.first(colour) == (expected[0] if expected else None)
        assert len(table) == len(model)
