"""From what is wanted and what is known to changes: exactly those that are needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.domains.publishing.difference import differences, seconds_to_wait
from gateway.control.domains.publishing.values import Change, Kept, RecordKey, Wanted

NOW = 1_800_000_000.0
ONE = RecordKey("s.gatepost.test", "MX")
MX = ("10 mx.gatepost.test",)
OTHER = ("20 mx.gatepost.test",)


def kept(**changes: object) -> Kept:
    values: dict[str, object] = {
        "key": ONE,
        "owner": "d",
        "tenant_id": None,
        "wanted": MX,
        "published": MX,
        "changed_at": NOW,
    }
    return Kept(**(values | changes))  # type: ignore[arg-type]


def changes(wanted: list[Wanted], *rows: Kept, at_once: bool = False) -> list[Change]:
    return list(differences(wanted, {row.key: row for row in rows}, NOW, at_once=at_once))


def test_what_is_there_as_wanted_needs_nothing() -> None:
    assert changes([Wanted(ONE, MX, "d")], kept()) == []


def test_another_value_and_nothing_any_more() -> None:
    [change] = changes([Wanted(ONE, OTHER, "d")], kept())
    assert (change.before, change.after, change.action) == (MX, OTHER, "put")
    [gone] = changes([], kept())
    assert (gone.before, gone.after, gone.action) == (MX, None, "withdraw")


def test_a_name_that_another_domain_has_now_is_put_and_not_taken_away() -> None:
    assert changes([Wanted(ONE, MX, "other")], kept()) == []
    [change] = changes([Wanted(ONE, OTHER, "other")], kept())
    assert (change.owner, change.after) == ("other", OTHER)


def test_what_failed_waits_unless_something_else_is_wanted() -> None:
    failed = kept(published=None, attempts=1, next_attempt_at=NOW + 5, error="away")
    assert changes([Wanted(ONE, MX, "d")], failed) == []
    assert len(changes([Wanted(ONE, MX, "d")], failed, at_once=True)) == 1
    [change] = changes([Wanted(ONE, OTHER, "d")], failed)
    assert MX in change.ours


def test_waits_double_up_to_an_hour() -> None:
    assert [seconds_to_wait(n) for n in (1, 2, 3)] == [5.0, 10.0, 20.0]
    assert seconds_to_wait(1_000) == 3_600.0


KEYS = st.builds(RecordKey, st.sampled_from(["a.test", "b.test", "c.test"]), st.sampled_from(["MX", "TXT"]))
VALUES = st.sets(st.sampled_from(["x", "y", "z"]), min_size=1).map(lambda found: tuple(sorted(found)))


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, VALUES))
def test_the_changes_lead_from_what_is_there_to_what_is_wanted(
    there: dict[RecordKey, tuple[str, ...]], goal: dict[RecordKey, tuple[str, ...]]
) -> None:
    rows = {key: kept(key=key, wanted=values, published=values) for key, values in there.items()}
    wanted = [Wanted(key, values, "d") for key, values in goal.items()]
    zone = dict(there)
    for change in differences(wanted, rows, NOW):
        assert zone.get(change.key) == change.before
        assert change.before != change.after
        if change.after is None:
            del zone[change.key]
        else:
            zone[change.key] = change.after
    assert zone == goal
