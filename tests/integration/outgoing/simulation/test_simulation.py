"""A simulation says what live sending does: under the same policy nothing, under a narrower one exactly that."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.app.desk import OpenedDesk
from gateway.app.sending import open_sender, open_stores
from gateway.app.simulation import simulate_policy
from gateway.control.errors import Forbidden, NotFound, ServiceError
from gateway.control.policies.service import InvalidDocuments
from gateway.control.records import Actor
from gateway.outgoing.composing import Attachment, OutgoingMessage, RawMessage, SendOptions, read_address
from gateway.outgoing.queue import lookup, tables
from gateway.outgoing.simulation import Simulation
from gateway.system.database import Database
from tests.support.control import OPERATOR
from tests.support.installation import NOW, Sending, add_account, at

PROGRAM = Actor("api", "key", address="192.0.2.7")
WIDE = '[limits.attachments]\nblocked = ["*.never"]\n[sender]\nscope = "domain"\n'
NARROW = """
[limits]
recipients_per_message = 3
message_bytes = "3 KiB"
attachments = { count = 1, blocked = ["*.bat"] }
[limits.account]
messages_per_minute = 3
messages_per_hour = 9
messages_per_day = 20
first_time_recipients_per_day = 7
[limits.workspace]
recipients_per_day = 60
[sender]
scope = "address"
[[rules]]
name = "said no"
direction = "outbound"
all = [{ field = "header.x-said", op = "is", value = "no" }]
action = "reject"
reply = "not in this house"
[[rules]]
name = "campaigns"
direction = "outbound"
any = [
  { field = "stream", op = "is", value = "marketing" },
  { field = "tag", op = "is", value = "sale" },
  { field = "hour", op = "greater", value = 20 },
]
action = "hold"
"""


def desk_of(sending: Sending) -> OpenedDesk:
    """The desk over an installation that is open already."""
    desk = OpenedDesk.__new__(OpenedDesk)
    desk.ground = sending.ground
    desk.services = sending.services
    return desk


def replayed(sending: Sending, text: str, name: str = "default", **options: Any) -> Simulation:
    options = {"days": 30, **options}
    return simulate_policy(desk_of(sending), OPERATOR, [(f"{name}.toml", text)], "default", **options)


def some_mail(seed: int, count: int) -> list[tuple[OutgoingMessage | RawMessage, SendOptions, float]]:
    """Messages of every kind, each with the seconds that pass before it."""
    chance = random.Random(seed)
    found = []
    for n in range(count):
        to = tuple(
            read_address(f"r{chance.randrange(12)}@x{chance.randrange(3)}.example")
            for _ in range(chance.choice([1, 1, 1, 2, 5]))
        )
        files = tuple(
            Attachment(f"f{k}.{chance.choice(['pdf', 'bat', 'txt'])}", "application/pdf", b"%PDF" * 50)
            for k in range(chance.choice([0, 0, 0, 1, 2]))
        )
        sender = chance.choice([None, None, None, "other@acme.example"])
        message = OutgoingMessage(
            to=to,
            subject=f"number {n}",
            text="x" * chance.choice([10, 10, 4000]),
            attachments=files,
            headers=(("X-Said", chance.choice(["yes", "maybe", "no"])),) if chance.random() < 0.3 else (),
            sender=read_address(sender) if sender else None,
        )
        options = SendOptions(
            stream=chance.choice([None, None, "marketing"]),
            tags=chance.choice([(), (), ("sale",)]),
            send_at=None,
        )
        found.append((message, options, chance.choice([1, 5, 20, 70, 900, 4000, 40_000])))
    return found


async def send_all(sending: Sending, mail: list[Any]) -> dict[str, str]:
    """Send them live, and let a minute pass; what happened to each, by its subject."""
    outcomes = {}
    for n, (message, options, seconds) in enumerate(mail):
        at(sending, seconds)
        try:
            sent = await sending.sender.send(PROGRAM, sending.account.id, message, options)
            outcomes[f"number {n}"] = "held" if sent.state == "held" else "accepted"
        except ServiceError as error:
            outcomes[f"number {n}"] = error.detail
    at(sending, 60)
    return outcomes


def _with_rule(reply: str, rule: str | None) -> str:
    named = f"(rule {rule})"
    return reply if reply.endswith(named) else f"{reply} {named}"


def told(simulation: Simulation) -> dict[str, str]:
    """The differences by the message's subject, as the live answers are noted."""
    return {
        str(one.subject): "held" if one.outcome == "held" else _with_rule(str(one.reply), one.rule)
        for one in simulation.differences
    }


async def test_under_the_same_policy_nothing_would_have_been_refused(sending: Sending) -> None:
    sending.policy(
        WIDE
        + '[limits.account]\nmessages_per_minute = 2\nmessages_per_day = 25\nfirst_time_recipients_per_day = 9\n[[rules]]\nname = "odd"\ndirection = "outbound"\nall = [{ field = "tag", op = "is", value = "sale" }]\naction = "hold"\n'
    )
    policy = (sending.folder / "default.toml").read_text()
    outcomes = await send_all(sending, some_mail(1, 80))
    assert {"held", "accepted"} < set(outcomes.values()), "some were refused, some held"
    found = replayed(sending, policy)
    assert found.changes_nothing
    assert found.differences == ()
    assert found.unjudged == {}
    assert found.accepted == sum(outcome in ("accepted", "held") for outcome in outcomes.values())


@pytest.mark.parametrize("seed", [2, 3])
async def test_a_narrower_policy_refuses_exactly_what_live_sending_then_refuses(
    sending: Sending, make_database_url: Any, seed: int
) -> None:
    mail = some_mail(seed, 90)
    sending.policy(WIDE)
    before = await send_all(sending, mail)
    assert set(before.values()) == {"accepted"}
    found = replayed(sending, NARROW)
    assert found.unjudged == {}
    await send_again(sending, make_database_url, mail, found)


async def send_again(sending: Sending, make_database_url: Any, mail: list[Any], found: Simulation) -> None:
    """The same mail at the same times, live under the narrow policy into a fresh location."""
    sending.policy(NARROW)
    with Database.open(make_database_url("again", "location"), purpose="default") as fresh:
        sending.clock.advance(NOW - sending.clock.now())
        sending.directory.refresh()
        ground = replace(sending.ground, locations={"default": fresh})
        async with AsyncExitStack() as stack:
            stores = await open_stores(ground, "again", stack)
            sending.sender = await open_sender(ground, sending.directory, stores, stack)
            live = await send_all(sending, mail)
    different = {subject: outcome for subject, outcome in live.items() if outcome != "accepted"}
    assert told(found) == different
    assert found.refused + found.held == len(different)
    assert len({one.rule for one in found.rules}) >= 7, "many rules are met"
    assert sum(one.messages for one in found.rules) == len(different)
    assert [one.account for one in found.accounts] == ["app@acme.example"]


async def test_what_is_missing_is_said_and_never_guessed(sending: Sending) -> None:
    sending.policy("[limits.attachments]\nblocked = []\n")
    big = Attachment("a.bin", "application/octet-stream", b"\x00" * 60_000)
    header = "X-Long: " + "\r\n ".join(["y" * 900] * 4)
    raw = f"From: app@acme.example\r\nTo: b@x.example\r\n{header}\r\n\r\nhi\r\n"
    for message in (
        OutgoingMessage(to=(read_address("b@x.example"),), subject="plain", text="hi"),
        OutgoingMessage(to=(read_address("b@x.example"),), attachments=(big,)),
        RawMessage(raw.encode()),
    ):
        at(sending, 1)
        await sending.sender.send(PROGRAM, sending.account.id, message)
    with sending.location.write() as connection:
        first = sending.rows()[0].id
        connection.execute(sa.delete(tables.message_facts).where(tables.message_facts.c.message_id == first))
    at(sending, 60)
    found = replayed(sending, '[limits.attachments]\nblocked = ["*.exe"]\n')
    assert found.unjudged == {"attachments": 1, "the message's facts": 1}
    rule = '[limits.attachments]\nblocked = []\n[[rules]]\nname = "x"\ndirection = "outbound"\naction = "reject"\nall = [{ field = "header.x-long", op = "contains", value = "yy" }]\n'
    found = replayed(sending, rule)
    assert found.unjudged == {"header.x-long": 1, "the message's facts": 1}
    found = replayed(sending, "[limits.account]\nmessages_per_day = 1\n[limits.attachments]\nblocked = []\n")
    assert (found.refused, found.unjudged) == (2, {"the message's facts": 1})


async def test_what_was_counted_before_counts_but_is_not_told(sending: Sending) -> None:
    for _ in range(3):
        await sending.sender.send(
            PROGRAM, sending.account.id, OutgoingMessage(to=(read_address("b@x.example"),))
        )
        at(sending, 3600)
    found = replayed(sending, "[limits.account]\nmessages_per_month = 2\n", days=1.5 / 24)
    assert (found.refused, found.accepted) == (1, 0)
    assert found.rules[0].rule == "quota account messages per month (policy default)"
    assert "opens at 2027-02-01" in str(found.differences[0].reply)


async def test_other_workspaces_and_tenants_are_left_alone(sending: Sending) -> None:
    other = add_account(sending, "app@else.example", "else")
    await sending.sender.send(PROGRAM, other.id, OutgoingMessage(to=(read_address("b@x.example"),)))
    sending.services.workspaces.create(OPERATOR, "apart", tenant="acme")
    sending.services.accounts.update(OPERATOR, sending.account.id, workspace="apart")
    sending.directory.refresh()
    await sending.sender.send(PROGRAM, sending.account.id, OutgoingMessage(to=(read_address("b@x.example"),)))
    at(sending, 60)
    never = '[[rules]]\nname = "never"\ndirection = "outbound"\naction = "reject"\nall = [{ field = "size", op = "greater", value = 1 }]\n'
    found = replayed(sending, never)
    assert [one.account for one in found.accounts] == ["app@else.example"]
    for entered in (False, True):
        if entered:
            with sending.location.write() as connection:
                assert lookup.enter_some(connection, sending.clock.now() + 100_000) == 2
            at(sending, 1)
            await send_one(sending, sending.account.id)
            at(sending, 60)
        tried = simulate_policy(desk_of(sending), OPERATOR, [("new.toml", never)], "apart")
        assert (tried.policy, [one.account for one in tried.accounts]) == ("new", ["app@acme.example"])
        assert tried.refused == 1 + entered


async def send_one(sending: Sending, account: str) -> None:
    """A message that says little."""
    await sending.sender.send(PROGRAM, account, OutgoingMessage(to=(read_address("b@x.example"),)))


async def test_raises_hold_while_they_held(sending: Sending) -> None:
    sending.policy("[limits.account]\nmessages_per_day = 1\n")
    services = sending.services
    services.raises.create(OPERATOR, "app@acme.example", {"daily": 3}, until=NOW + 7200, reason="a launch")
    sending.directory.refresh()
    for _ in range(3):
        await sending.sender.send(
            PROGRAM, sending.account.id, OutgoingMessage(to=(read_address("b@x.example"),))
        )
    at(sending, 2 * 86_400)
    assert replayed(sending, "[limits.account]\nmessages_per_day = 1\n").changes_nothing
    found = replayed(sending, "[limits.account]\nmessages_per_day = 1\nmessages_per_hour = 2\n")
    assert found.refused == 1


async def test_only_the_operator_simulates_and_mistakes_are_named(sending: Sending) -> None:
    desk = desk_of(sending)
    with pytest.raises(InvalidDocuments):
        replayed(sending, "[limits]\nrecipients = 3\n")
    with pytest.raises(NotFound):
        simulate_policy(desk, OPERATOR, [("default.toml", "")], "nowhere")
    with pytest.raises(Forbidden):
        actor = Actor("api", "key", tenant_id=sending.account.tenant_id)
        simulate_policy(desk, actor, [("default.toml", "")], "default")


async def test_the_first_differences_are_listed_and_all_are_counted(sending: Sending) -> None:
    hello = OutgoingMessage(to=(read_address("b@x.example"),))
    await asyncio.gather(*(sending.sender.send(PROGRAM, sending.account.id, hello) for _ in range(450)))
    at(sending, 60)
    steps: list[int] = []
    found = replayed(sending, "[limits.account]\nmessages_per_day = 50\n", most=10, on_progress=steps.append)
    assert (len(found.differences), found.refused, found.accepted) == (10, 400, 50)
    assert found.recipients == 400
