"""Sending for programs, through the real door into a real queue."""

from __future__ import annotations

import asyncio
import email
import email.policy
from typing import Any

import pytest

from gateway.app.sending import sending_alone, sending_in
from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unavailable
from gateway.control.records import Actor
from gateway.outgoing.composing import (
    Attachment,
    OutgoingMessage,
    RawMessage,
    SendOptions,
    rawmail,
    read_address,
)
from gateway.outgoing.queue import tables
from tests.support.control import OPERATOR
from tests.support.installation import NOW, Installation, Sending, add_account, at

PROGRAM = Actor("api", "key-1", address="192.0.2.7")
TO = (read_address("Bob <bob@there.example>"),)
HELLO = OutgoingMessage(to=TO, subject="Grüße", text="Hello Bob.")
RAW = b"From: app@acme.example\r\nTo: Bob <bob@there.example>\r\nCc: c@d.example\r\nBcc: s@there.example\r\nSubject: raw\r\n\r\nhi\r\n"


async def send(sending: Sending, message: Any = HELLO, actor: Actor = PROGRAM, **options: Any) -> Any:
    return await sending.sender.send(actor, sending.account.id, message, SendOptions(**options))


async def stored(sending: Sending, message_id: str) -> Any:
    content = await sending.stores["default"].load(message_id)
    return email.message_from_bytes(content.content, policy=email.policy.default)


async def test_a_message_leaves_under_the_accounts_own_name(sending: Sending) -> None:
    sent = await send(sending)
    assert (sent.state, sent.account_id, sent.release_at, sent.repeated) == (
        "queued",
        sending.account.id,
        None,
        False,
    )
    view = sending.queue.show(sent.id)
    assert (view.origin, view.sender, view.from_address) == ("api", "app@acme.example", "app@acme.example")
    assert [(row.recipient, row.state) for row in view.recipients] == [("bob@there.example", "ready")]
    assert view.policy is not None
    assert view.client_address == "192.0.2.7"
    message = await stored(sending, sent.id)
    assert str(message["from"]) == "Acme App <app@acme.example>"
    assert str(message["subject"]) == "Grüße"
    assert message["message-id"] == f"<{sent.id}@acme.example>"
    assert "192.0.2.7" not in message.as_string()
    assert "with HTTP id" in str(message["received"])
    assert message["date"] is not None
    assert sending.woken == 1
    content = await sending.stores["default"].load(sent.id)
    assert b"d=acme.example" in content.signatures.header


async def test_both_switches_may_be_off_but_nobody_suspended(sending: Sending) -> None:
    services = sending.services
    services.accounts.update(OPERATOR, sending.account.id, smtp=False, imap=False)
    sending.directory.refresh()
    assert (await send(sending)).state == "queued"
    services.accounts.suspend(OPERATOR, sending.account.id)
    sending.directory.refresh()
    with pytest.raises(Forbidden) as account:
        await send(sending)
    assert account.value.code == "account-suspended"
    services.accounts.resume(OPERATOR, sending.account.id)
    services.tenants.suspend(OPERATOR, "acme")
    sending.directory.refresh()
    with pytest.raises(Forbidden) as tenant:
        await send(sending)
    assert tenant.value.code == "tenant-suspended"


@pytest.mark.parametrize(
    "limits",
    [
        {"tenant_id": "another"},
        {"workspace_id": "another"},
        {"environment": "staging"},
    ],
)
async def test_another_callers_account_is_not_there(sending: Sending, limits: dict[str, Any]) -> None:
    limited = Actor("api", "key-2", **limits)
    with pytest.raises(NotFound) as hidden:
        await send(sending, actor=limited)
    with pytest.raises(NotFound) as missing:
        await sending.sender.send(limited, "0190a000-0000-7000-8000-000000000000", HELLO)
    assert hidden.value.code == missing.value.code
    own = Actor("api", "key-3", tenant_id=sending.account.tenant_id, environment="production")
    assert (await sending.sender.send(own, "APP@acme.example", HELLO)).state == "queued"


async def test_only_identities_of_the_account_may_be_the_sender(sending: Sending) -> None:
    add_account(sending, "ceo@victim.example", "victim")
    for address in ("ceo@victim.example", "other@acme.example"):
        forged = OutgoingMessage(to=TO, sender=read_address(address))
        with pytest.raises(Forbidden) as refused:
            await send(sending, forged)
        assert refused.value.code == "sender-not-allowed"
        assert "550 5.7.1" in refused.value.detail
        assert "sender.identity" in refused.value.detail
    sending.services.accounts.add_alias(OPERATOR, sending.account.id, "news@acme.example")
    sending.directory.refresh()
    sent = await send(sending, OutgoingMessage(to=TO, sender=read_address("News <news@acme.example>")))
    assert sending.queue.show(sent.id).sender == "news@acme.example"
    records = [row for row in sending.rows() if row.origin == "api"]
    assert len(records) == 1


async def test_raw_mail_goes_to_its_fields_or_to_those_named(sending: Sending) -> None:
    sent = await send(sending, RawMessage(RAW))
    addresses = [row.recipient for row in sending.queue.show(sent.id).recipients]
    assert addresses == ["bob@there.example", "c@d.example", "s@there.example"]
    assert (await stored(sending, sent.id))["bcc"] is None
    only = await send(sending, RawMessage(RAW, (read_address("x@y.example").mailbox,)))
    assert [row.recipient for row in sending.queue.show(only.id).recipients] == ["x@y.example"]
    for bad in (
        RAW.replace(b"c@d.example", b"friends: c@d.example;"),
        b"From: app@acme.example\r\n\r\nhi\r\n",
    ):
        with pytest.raises(Invalid):
            await send(sending, RawMessage(bad))
    with pytest.raises(Invalid) as refused:
        await send(sending, RawMessage(b"To: bob@there.example\r\n\r\nhi\r\n"))
    assert refused.value.code == "bad-sender"


@pytest.mark.parametrize(
    ("header", "code", "reply"),
    [
        (b"a:\n" * 20_000, "message-not-accepted", "550 5.6.0 header of 20000 fields is over the limit"),
        (b"a:" + b"x\r\n " * 30_000, "message-too-large", "552 5.3.4 header of "),
    ],
)
async def test_an_endless_header_is_counted_not_parsed(
    sending: Sending, monkeypatch: pytest.MonkeyPatch, header: bytes, code: str, reply: str
) -> None:
    """A few of them a second would otherwise keep everybody's requests waiting."""
    parsed: list[bytes] = []
    monkeypatch.setattr(rawmail, "parse_header", parsed.append)
    with pytest.raises(Invalid) as refused:
        await send(sending, RawMessage(header))
    assert (refused.value.code, parsed) == (code, [])
    assert refused.value.detail.startswith(reply)


async def test_recipients_of_a_header_are_read_as_far_as_they_may_be_many(sending: Sending) -> None:
    most = sending.sender._ceilings.recipients
    line = b"To: " + b",".join([b"a@b.example"] * 50) + b"\r\n"
    with pytest.raises(Invalid) as refused:
        await send(sending, RawMessage(RAW[: RAW.index(b"Cc")] + line * (most // 50) + b"To: no address\r\n"))
    assert refused.value.code == "too-many-recipients"


async def test_options_reach_the_queue_and_leave_the_header(sending: Sending) -> None:
    pairs = {"order": "12\u00fc", "long": "x" * 500}
    raw = RawMessage(b"X-Gatepost-Tag: own\r\nX-Gatepost-Stream: agent\r\n" + RAW)
    sent = await send(sending, raw, stream="marketing", tags=("welcome",), metadata=pairs)
    (row,) = sending.rows()
    assert (row.stream, row.tags) == ("marketing", '["welcome", "own"]')
    assert b"x-gatepost" not in (await sending.stores["default"].load(sent.id)).content.lower()
    for wrong in (
        {"stream": "a b"},
        {"tags": ("a b",)},
        {"metadata": {"": "x"}},
        {"tags": tuple("abcdefghijk")},
    ):
        with pytest.raises(Invalid) as refused:
            await send(sending, **wrong)
        assert refused.value.code == "message-not-accepted"
        assert "options." in refused.value.detail


async def test_a_scheduled_message_waits_and_is_charged_now(sending: Sending) -> None:
    sending.policy("[limits.account]\nmessages_per_day = 1\n")
    later = NOW + 5 * 86_400
    sent = await send(sending, send_at=later)
    assert (sent.state, sent.release_at, sending.woken) == ("scheduled", later, 0)
    assert [row.state for row in sending.queue.show(sent.id).recipients] == ["scheduled"]
    assert (await stored(sending, sent.id))["date"].datetime.timestamp() == later
    with pytest.raises(TooMany) as over:
        await send(sending)
    assert over.value.code == "quota-exceeded"
    assert over.value.retry_after == 16 * 3600
    with pytest.raises(Invalid) as far:
        await send(sending, send_at=NOW + 31 * 86_400)
    assert far.value.code == "send-at-too-far"
    sending.policy("")
    assert (await send(sending, send_at=NOW - 60)).state == "queued"


async def test_a_burst_is_delayed_for_90_seconds_and_then_refused(sending: Sending) -> None:
    sending.policy("[limits.account]\nmessages_per_minute = 2\n")
    sent = [await send(sending) for _ in range(4)]
    assert [one.state for one in sent] == ["queued"] * 2 + ["scheduled"] * 2
    assert [one.release_at for one in sent] == [None, None, NOW + 60, NOW + 60]
    with pytest.raises(TooMany) as over:
        await send(sending)
    assert over.value.retry_after == 30
    assert "452 4.7.1" in over.value.detail
    at(sending, 31)
    assert (await send(sending)).release_at == NOW + 120


async def test_policy_holds_and_refuses_as_for_smtp(sending: Sending) -> None:
    sending.policy(
        '[[rules]]\nname = "look"\ndirection = "outbound"\naction = "hold"\n'
        'any = [{ field = "subject", op = "contains", value = "grüße" }]\n'
        '[[rules]]\nname = "never"\ndirection = "outbound"\naction = "reject"\n'
        'any = [{ field = "attachment.name", op = "ends_with", value = ".exe" }]\n'
    )
    held = await send(sending)
    assert (held.state, sending.woken) == ("held", 0)
    files = (Attachment("a.exe", "application/octet-stream", b"MZ"),)
    with pytest.raises(Forbidden) as refused:
        await send(sending, OutgoingMessage(to=TO, attachments=files))
    assert refused.value.code == "refused-by-policy"
    assert "policy default: never" in refused.value.detail
    await sending.stores["default"].run(lambda connection: None)
    big = OutgoingMessage(to=TO, attachments=(Attachment("a", "text/plain", b"x" * 30_000_000),))
    with pytest.raises(Invalid) as large:
        await send(sending, big)
    assert large.value.code == "message-too-large"


async def test_the_same_request_is_sent_once(sending: Sending) -> None:
    first, *others = await asyncio.gather(*(send(sending, idempotency_key="k") for _ in range(5)))
    assert {one.id for one in others} == {first.id}
    assert len(sending.rows()) == 1
    assert sending.woken == 1
    sending.policy("[limits]\nrecipients_per_message = 0\n".replace("= 0", "= 1"))
    again = await send(sending, idempotency_key="k")
    assert (again.id, again.repeated) == (first.id, True)
    for other in (OutgoingMessage(to=TO), RawMessage(RAW)):
        with pytest.raises(Conflict) as conflict:
            await send(sending, other, idempotency_key="k")
        assert conflict.value.code == "idempotency-key-used"
    at(sending, 86_401)
    assert (await send(sending, idempotency_key="k")).id != first.id
    with pytest.raises(Invalid):
        await send(sending, idempotency_key="é")


async def test_without_a_shard_it_is_for_later(sending: Sending) -> None:
    for shard in sending.directory.shards_of(sending.account.tenant_id, "production"):
        sending.services.shards.retire(OPERATOR, shard.id)
    sending.directory.refresh()
    with pytest.raises(Unavailable) as refused:
        await send(sending)
    assert refused.value.code == "no-shard"
    assert sending.rows() == []
    assert sending.rows(tables.idempotency) == []


async def test_callers_in_threads_send_through_the_loop_of_the_stores(sending: Sending) -> None:
    send_blocking = sending_in(asyncio.get_running_loop(), sending.sender)
    sent = await asyncio.gather(
        *(asyncio.to_thread(send_blocking, PROGRAM, sending.account.id, HELLO) for _ in range(5))
    )
    assert len({one.id for one in sent}) == 5
    with pytest.raises(NotFound):
        await asyncio.to_thread(send_blocking, PROGRAM, "nobody@acme.example", HELLO)


def test_a_command_sends_while_nothing_serves(installation: Installation) -> None:
    send_alone = sending_alone(installation.ground)
    options = SendOptions(idempotency_key="k")
    first = send_alone(PROGRAM, "app@acme.example", HELLO, options)
    again = send_alone(PROGRAM, installation.account.id, HELLO, options)
    assert (again.id, again.repeated) == (first.id, True)
    assert [row.id for row in installation.rows()] == [first.id]
    assert installation.rows(tables.incarnation) == []
