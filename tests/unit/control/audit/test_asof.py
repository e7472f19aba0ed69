"""Values over time, from entries alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.audit.asof import PolicyHistory, Step, StoredVersion, Timeline
from gateway.control.audit.entries import AuditView

Payload = dict[str, Any] | None


def entry(at: float, before: Payload, after: Payload) -> AuditView:
    return AuditView(
        id=f"e-{at}",
        name="x.update",
        number=int(at),
        tenant_id=None,
        at=at,
        created_at=at,
        actor_kind="cli",
        actor_id="root",
        actor_address=None,
        operation="x.update",
        resource_kind="x",
        resource_id="x-1",
        request_id=None,
        before=before,
        after=after,
        chain_hash="",
    )


def values(timeline: Timeline, *moments: float) -> list[Any]:
    found = [timeline.at(moment) for moment in moments]
    return [one["v"] if one is not None else None for one in found]


def test_a_resource_is_there_from_its_first_entry_on() -> None:
    timeline = Timeline.of(
        [entry(10, None, {"v": 1}), entry(20, {"v": 1}, {"v": 2})], ["v"], Step(10, {"v": 2})
    )
    assert values(timeline, 9, 10, 19, 20, 99) == [None, 1, 1, 2, 2]
    assert timeline.changes(10, 30) == [20]


def test_without_entries_it_was_always_as_it_is() -> None:
    timeline = Timeline.of([], ["v"], Step(10, {"v": 1}))
    assert values(timeline, 9, 10) == [None, 1]


def test_what_was_before_the_first_entry_is_read_from_it() -> None:
    timeline = Timeline.of([entry(20, {"v": 1}, {"v": 2})], ["v"], Step(10, {"v": 2}))
    assert values(timeline, 9, 10, 20) == [None, 1, 2]


def test_entries_about_something_else_are_passed_over() -> None:
    entries = [entry(10, None, {"v": 1}), entry(20, {"w": 1}, {"w": 2}), entry(30, {"v": 1}, {"v": 3})]
    assert values(Timeline.of(entries, ["v"], Step(10, {"v": 3})), 15, 25, 35) == [1, 1, 3]


def test_after_an_erased_entry_the_next_one_tells_what_was() -> None:
    entries = [
        entry(10, None, {"v": 1}),
        entry(20, None, None),
        entry(30, {"v": 2}, {"v": 3}),
        entry(40, None, None),
        entry(50, None, None),
    ]
    timeline = Timeline.of(entries, ["v"], Step(10, {"v": 9}))
    assert values(timeline, 15, 25, 35, 45, 55) == [1, 2, 3, None, 9]


def test_what_is_gone_ended_with_its_last_entry() -> None:
    entries = [entry(10, None, {"v": 1}), entry(20, {"partly": 1}, None)]
    assert values(Timeline.of(entries, ["v"], None), 15, 20, 30) == [1, None, None]
    without_end = [entry(10, None, {"v": 1}), entry(20, {"v": 1}, {"v": 2})]
    assert values(Timeline.of(without_end, ["v"], None), 15, 25) == [1, None]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_the_timeline_is_what_the_changes_made(changes: list[int]) -> None:
    entries, before = [], None
    for number, value in enumerate(changes):
        entries.append(entry(10.0 * number, before, {"v": value}))
        before = {"v": value}
    timeline = Timeline.of(entries, ["v"], Step(0, before))
    assert values(timeline, *(10.0 * n + 5 for n in range(len(changes)))) == changes
    assert all(
        one.values != other.values for one, other in zip(timeline.steps, timeline.steps[1:], strict=False)
    )


def version(number: int, since: float, daily: int) -> StoredVersion:
    data = {"limits": {"account": {"messages_per_day": daily}}}
    return StoredVersion("policy", "p", number, "", data, since)


def daily_at(history: PolicyHistory, moment: float) -> tuple[int | None, str | None]:
    then = history.at(moment, "p", "plan", shared=False)
    key = "limits.account.messages_per_day"
    return then.version, next((one.value for one in then.values if one.key == key), None)


def test_a_policy_is_resolved_from_the_versions_of_then() -> None:
    plan = StoredVersion("plan", "plan", 1, "", {}, 0)
    history = PolicyHistory([version(2, 20, 7), plan, version(1, 10, 5)])
    assert daily_at(history, 10) == (1, "5")
    assert daily_at(history, 19.9) == (1, "5")
    assert daily_at(history, 20) == (2, "7")
    assert history.changes(0, 30) == [10, 20]


def test_what_cannot_be_resolved_says_why() -> None:
    then = PolicyHistory([version(1, 10, 5)]).at(5, "p", "plan", shared=False)
    assert then.problem == 'there is no policy "p"'
    unreadable = StoredVersion("policy", "q", 1, "", {"of the future": 1}, 0)
    plan = StoredVersion("plan", "plan", 1, "", {}, 0)
    assert "of the future" in str(PolicyHistory([unreadable, plan]).at(5, "q", "plan", shared=True).problem)
