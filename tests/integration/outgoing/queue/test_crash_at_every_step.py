"""docs/queue-states.md, walked with a SIGKILL before and after the commit of every step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.outgoing.queue import FINISHED, LIVE, Delivery, OutcomeKind, QueueStore, State, tables
from gateway.outgoing.queue.retention import collect_orphans
from gateway.outgoing.queue.states import TRANSITIONS, Step
from gateway.outgoing.quota import Charge
from gateway.system.blobs import LocalBlobs
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from tests.integration.outgoing.queue.crashing import CHILD, OPERATOR, World, die_in, service_of
from tests.integration.outgoing.queue.parts import (
    CONTENT,
    NOW,
    count,
    events_of,
    new_message,
    new_recipient,
    outcome,
    running_store,
    states_of,
)

LARGE = CONTENT + b"x" * 70_000 + b"\r\n"
CHARGE = Charge("account", "account-1", "messages", "day", 100, 1, "policy test")
ID = "0" * 25 + "g"
REPORT_ID = "0" * 25 + "o"

Act = Callable[[World], Awaitable[object]]


@dataclass(frozen=True)
class Scenario:
    """One line of the table: `reach` puts the message into `leave`, `act` moves it to `enter`."""

    step: Step
    leave: State | None
    enter: State
    act: Act

    def __str__(self) -> str:
        return f"{self.step}-{self.leave or 'none'}-{self.enter}"


def _message(**changes: object) -> object:
    recipient = new_recipient(**changes.pop("recipient", {}))  # type: ignore[arg-type]
    return new_message(recipient, id=ID, content=LARGE, charges=(CHARGE,), **changes)


async def _add(world: World, state: State) -> Delivery | None:
    """Store the message in one of the states in which acceptance may put it."""
    changes: dict[State, dict[str, object]] = {
        State.OWNED: {"recipient": {"hand_over": True}},
        State.READY: {},
        State.SCHEDULED: {"scheduled_at": NOW + 600},
        State.WAITING: {"recipient": {"paused": True}},
        State.HELD: {"hold_rule": "odd"},
    }
    stored = await world.store.add(_message(**changes[state]))  # type: ignore[arg-type]
    return stored.deliveries[0] if stored.deliveries else None


async def _reach(world: World, state: State) -> Delivery | None:
    if state is State.WAITING:
        delivery = await _add(world, State.OWNED)
        assert delivery is not None
        await world.store.record([outcome(delivery, OutcomeKind.DEFERRED, next_attempt_at=NOW + 300)])
        return None
    if state is State.UNKNOWN:
        delivery = await _add(world, State.OWNED)
        assert delivery is not None
        await world.store.record([outcome(delivery, OutcomeKind.UNKNOWN)])
        return delivery
    return await _add(world, state)


def _accept(state: State) -> Scenario:
    async def act(world: World) -> None:
        world.doom()
        await _add(world, state)

    return Scenario(Step.ACCEPT, None, state, act)


def _outcome(step: Step, leave: State, enter: State, kind: OutcomeKind) -> Scenario:
    async def act(world: World) -> None:
        delivery = await _reach(world, leave)
        assert delivery is not None
        report = None
        if kind in (OutcomeKind.BOUNCED, OutcomeKind.EXPIRED):
            report = new_message(new_recipient("a@acme.example"), id=REPORT_ID, reverse_path="", origin="dsn")
        due = NOW + 300 if kind is OutcomeKind.DEFERRED else None
        world.doom()
        await world.store.record([outcome(delivery, kind, dsn=report, next_attempt_at=due)])

    return Scenario(step, leave, enter, act)


def _operator(step: Step, leave: State, enter: State, **changes: object) -> Scenario:
    async def act(world: World) -> None:
        if changes:
            await world.store.add(_message(**changes))  # type: ignore[arg-type]
        else:
            await _reach(world, leave)
        world.doom()
        getattr(world.service, step.value.partition(".")[2])(OPERATOR, ID, reason="because")

    return Scenario(step, leave, enter, act)


def _claim(step: Step, leave: State, enter: State, after_seconds: float = 0.0, **options: object) -> Scenario:
    async def act(world: World) -> None:
        await _reach(world, leave)
        world.clock.advance(after_seconds)
        world.doom()
        if step is Step.CLAIM_LATE:
            await world.store.claim_late(10)
        else:
            await world.store.claim(10, **options)  # type: ignore[arg-type]

    return Scenario(step, leave, enter, act)


async def _resume(world: World) -> None:
    await _add(world, State.WAITING)
    world.doom()
    await world.store.claim(10)


def _recover(leave: State) -> Scenario:
    async def act(world: World) -> None:
        await _reach(world, leave)
        world.doom()
        await world.store.recover([CHILD], None)

    return Scenario(Step.RECOVER, leave, State.READY, act)


SCENARIOS = [
    *map(_accept, (State.OWNED, State.READY, State.SCHEDULED, State.WAITING, State.HELD)),
    _claim(Step.PROMOTE, State.SCHEDULED, State.READY, 700),
    _claim(Step.PROMOTE, State.WAITING, State.READY, 400),
    _claim(Step.CLAIM, State.READY, State.OWNED),
    _claim(Step.CLAIM_LATE, State.WAITING, State.OWNED, 4 * 3600),
    _outcome(Step.UNANSWERED, State.OWNED, State.UNKNOWN, OutcomeKind.UNKNOWN),
    *(
        _outcome(step, leave, enter, kind)
        for leave in (State.OWNED, State.UNKNOWN)
        for step, enter, kind in (
            (Step.DELIVERED, State.DELIVERED, OutcomeKind.DELIVERED),
            (Step.DEFERRED, State.WAITING, OutcomeKind.DEFERRED),
            (Step.BOUNCED, State.BOUNCED, OutcomeKind.BOUNCED),
            (Step.EXPIRED, State.EXPIRED, OutcomeKind.EXPIRED),
            (Step.HAND_BACK, State.READY, OutcomeKind.HANDED_BACK),
        )
    ),
    _claim(Step.PARK, State.READY, State.WAITING, paused_shards={"shard-1"}),
    Scenario(Step.RESUME, State.WAITING, State.READY, _resume),
    _recover(State.OWNED),
    _recover(State.UNKNOWN),
    *(_operator(Step.RETRY, leave, State.READY) for leave in (State.SCHEDULED, State.WAITING)),
    *(
        _operator(Step.HOLD, leave, State.HELD)
        for leave in (State.SCHEDULED, State.READY, State.WAITING)
    ),
    _operator(Step.RELEASE, State.HELD, State.READY),
    _operator(Step.RELEASE, State.HELD, State.SCHEDULED, hold_rule="odd", scheduled_at=NOW + 600),
    *(
        _operator(Step.DROP, leave, State.DROPPED)
        for leave in (State.SCHEDULED, State.READY, State.WAITING, State.HELD)
    ),
]  # fmt: skip


def test_every_line_of_the_table_is_walked() -> None:
    walked = {(one.step, one.leave, one.enter) for one in SCENARIOS}
    table = {
        (step, leave, enter)
        for step, (leaves, enters) in TRANSITIONS.items()
        for leave in leaves
        for enter in enters
    }
    # Only what was scheduled for later is scheduled again.
    assert walked == table


@pytest.mark.parametrize("doom", ["before", "after"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_a_crash_loses_nothing(
    scenario: Scenario, doom: str, location_url: str, tmp_path: Path
) -> None:
    die_in(scenario.act, location_url, tmp_path, doom)
    with Database.open(location_url, purpose="default") as database:
        expected = scenario.leave if doom == "before" else scenario.enter
        assert states_of(database, ID) == ([expected] if expected is not None else [])
        _check_what_goes_together(database, scenario, doom)
        if expected is not None:
            await _carry_on(database, tmp_path)
        assert collect_orphans(database, LocalBlobs(tmp_path), ManualClock(NOW + 10**9).now()) <= 1
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and "queue" in path.parts]


def _check_what_goes_together(database: Database, scenario: Scenario, doom: str) -> None:
    happened = doom == "after"
    accepted = happened or scenario.leave is not None
    with database.read() as connection:
        bodies = set(connection.scalars(sa.select(tables.message_body.c.message_id)))
        live = set(
            connection.scalars(
                sa.select(tables.recipient.c.message_id).where(tables.recipient.c.state.in_(list(LIVE)))
            )
        )
        taken = connection.scalar(sa.select(tables.quota_counter.c.value))
    assert bodies == live
    assert taken == (1 if accepted else None)
    assert events_of(database, ID).count("accepted") == accepted
    if scenario.enter in FINISHED:
        assert events_of(database, ID).count(scenario.enter.value) == happened
    if scenario.step in (Step.BOUNCED, Step.EXPIRED):
        assert (states_of(database, REPORT_ID) == ["ready"]) is happened
    if scenario.step.value.startswith("operator."):
        assert count(database, tables.audit_entries) == count(database, tables.audit_payloads) == happened


async def _carry_on(database: Database, folder: Path) -> None:
    """Recover as the supervisor does, and bring everything to its end."""
    clock = ManualClock(NOW + 1000)
    async with running_store(database, folder, "survivor", clock) as store:
        await store.recover([CHILD], set())
        assert not {State.OWNED, State.UNKNOWN} & set(states_of(database))
        if "held" in states_of(database, ID):
            service_of(database, folder, clock).release(OPERATOR, ID)
        clock.advance(1000)
        await _deliver_all(store)
    assert set(states_of(database)) <= {"delivered", "bounced", "expired", "dropped"}
    assert count(database, tables.message_body) == 0
    ends = [kind for kind in events_of(database, ID) if kind in {state.value for state in FINISHED}]
    assert len(ends) == 1


async def _deliver_all(store: QueueStore) -> None:
    while deliveries := await store.claim(10):
        for delivery in deliveries:
            await delivery.load()
            await store.record([outcome(delivery, OutcomeKind.DELIVERED)])
