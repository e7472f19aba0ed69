"""Delivery status notifications: who gets one, through which shard, and what stands in it."""

import email
import email.policy
import re
import time
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_first_message import split_capture, verified
from tests.support.gateway import Gateway, plain_message, wait_until
from tests.support.sink import Script, Sink, serving

REJECTED = "550 5.1.1 no such user"
DEFERRED = "451 4.2.2 mailbox busy"

# Many commands, each a process: on a busy machine they take a while.
pytestmark = pytest.mark.timeout(300)


def answer(argument: str, _count: int) -> str | None:
    """What the peer says to a RCPT."""
    if "<reject" in argument:
        return REJECTED
    return DEFERRED if "<defer" in argument else None


@pytest.fixture(scope="module")
def modern() -> Iterator[Sink]:
    """A peer that can everything but report success itself."""
    extensions = ("8BITMIME", "SMTPUTF8", "SIZE 52428800", "ENHANCEDSTATUSCODES")
    with serving(Script(extensions=extensions, replies={"RCPT": answer})) as running:
        yield running


@pytest.fixture(scope="module")
def ancient() -> Iterator[Sink]:
    """A peer that can next to nothing."""
    with serving(Script(extensions=(), pipelining=False)) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, modern: Sink, ancient: Sink) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("reports") / "var").start()
    running.cli("shard", "route", running.state["shard"], f"smtp://127.0.0.1:{modern.port}")
    running.cli(
        "shard", "create", f"old.{running.state['domain']}", "--tenant", running.tenant_id,
        "--stream", "old", "--route", f"smtp://127.0.0.1:{ancient.port}",
    )  # fmt: skip
    running.obeyed()
    yield running
    assert running.stop() == 0


def send(
    gateway: Gateway,
    recipients: dict[str, tuple[str, ...]],
    content: bytes | None = None,
    *,
    options: tuple[str, ...] = (),
    sender: str | None = None,
) -> str:
    """Send a message with ESMTP parameters for MAIL and for each recipient; its id."""
    with gateway.smtp() as client:
        client.ehlo()
        replies = [client.mail(gateway.address if sender is None else sender, options)]
        replies += [client.rcpt(address, extra) for address, extra in recipients.items()]
        replies.append(client.data(content or plain_message(gateway.address, body="the body")))
    assert {code for code, _ in replies} == {250}, replies
    return replies[-1][1].decode().split()[3]


def states(gateway: Gateway, message_id: str) -> dict[str, dict[str, Any]]:
    """The queue's rows by recipient, once none is on its way."""

    def settled() -> dict[str, dict[str, Any]]:
        rows = gateway.cli("queue", "show", message_id)["recipients"]
        moving = {"ready", "owned", "unknown", "scheduled"}
        return {row["recipient"]: row for row in rows if not moving & {r["state"] for r in rows}}

    found: dict[str, dict[str, Any]] = wait_until(settled, what="outcomes")
    return found


def reports(gateway: Gateway, about: str) -> list[tuple[dict[str, list[str]], bytes]]:
    """The captured reports in which `about` stands."""
    found = [path.read_bytes() for path in Path(gateway.state["captured"]).glob("*.eml")]
    return [split_capture(octets) for octets in found if about.encode() in octets]


def parts_of(wire: bytes) -> tuple[EmailMessage, list[dict[str, str]], EmailMessage]:
    """A report's whole, its blocks of status fields, and the returned part."""
    whole = email.message_from_bytes(wire, policy=email.policy.SMTP)
    assert isinstance(whole, EmailMessage)
    assert whole.get_content_type() == "multipart/report"
    _, status, returned = whole.iter_parts()
    blocks = [dict(block.items()) for block in status.iter_parts()]
    return whole, blocks, returned  # type: ignore[return-value]


@pytest.mark.parametrize("ret", ["FULL", "HDRS"])
def test_a_refused_recipient_comes_back_as_a_report(gateway: Gateway, ret: str) -> None:
    marker = f"ENV-{ret}"
    message_id = send(
        gateway,
        {
            "reject@dest.test": ("NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;first+2Bone@dest.test"),
            "fine@dest.test": (),
        },
        options=(f"RET={ret}", f"ENVID={marker}"),
    )
    rows = states(gateway, message_id)
    assert {address: row["state"] for address, row in rows.items()} == {
        "reject@dest.test": "bounced",
        "fine@dest.test": "delivered",
    }
    assert rows["reject@dest.test"]["last_reply"] == REJECTED
    [(envelope, wire)] = wait_until(lambda: reports(gateway, marker), what="a report")
    # From the platform, through its own shard, to the sender and with nobody to complain to.
    assert envelope["X-Gatepost-Envelope-To"] == [gateway.address]
    assert envelope["X-Gatepost-Envelope-From"] == ["<>"]
    whole, blocks, returned = parts_of(wire)
    assert whole["Auto-Submitted"].startswith("auto-")
    assert whole["From"].addresses[0].domain == "mail.gatepost.test"
    assert all(verified(gateway, "mail.gatepost.test", wire))
    assert "d=mail.gatepost.test" in str(whole["DKIM-Signature"])
    [message, recipient] = blocks
    assert message["Original-Envelope-Id"] == marker
    assert recipient["Original-Recipient"] == "rfc822; first+one@dest.test"
    assert recipient["Final-Recipient"].endswith("reject@dest.test")
    assert recipient["Action"] == "failed"
    assert recipient["Status"] == "5.1.1"
    assert "no such user" in recipient["Diagnostic-Code"]
    assert b"fine@dest.test" not in wire.split(b"message/delivery-status")[1].split(b"\r\n--")[0]
    assert (b"the body" in wire) is (ret == "FULL")
    assert returned.get_content_type() == ("message/rfc822" if ret == "FULL" else "text/rfc822-headers")


def test_nobody_who_does_not_want_a_report_gets_one(gateway: Gateway) -> None:
    quiet = [
        send(gateway, {"reject@dest.test": ("NOTIFY=NEVER",)}, options=("ENVID=QUIET-1",)),
        send(gateway, {"reject@dest.test": ("NOTIFY=SUCCESS",)}, options=("ENVID=QUIET-2",)),
        send(gateway, {"reject@dest.test": ()}, options=("ENVID=QUIET-3",), sender=""),
    ]
    for message_id in quiet:
        assert [row["state"] for row in states(gateway, message_id).values()] == ["bounced"]
        kinds = [event["kind"] for event in gateway.cli("trace", message_id)]
        assert "bounced" in kinds
    # The report about a later message is there, so theirs would be.
    send(gateway, {"reject@dest.test": ()}, options=("ENVID=LOUD-1",))
    wait_until(lambda: reports(gateway, "LOUD-1"), what="a report")
    assert reports(gateway, "QUIET-") == []


def test_success_is_reported_where_it_is_asked_for(gateway: Gateway) -> None:
    send(gateway, {"fine@dest.test": ("NOTIFY=SUCCESS",)}, options=("ENVID=YES-1",))
    [(_, wire)] = wait_until(lambda: reports(gateway, "YES-1"), what="a report")
    _, [_, recipient], _ = parts_of(wire)
    assert recipient["Action"] == "relayed"
    assert recipient["Status"].startswith("2.")


def test_a_deferral_waits_for_its_next_attempt(gateway: Gateway) -> None:
    began = time.time()
    message_id = send(gateway, {"defer@dest.test": ()}, options=("ENVID=LATER-1",))
    [row] = states(gateway, message_id).values()
    assert (row["state"], row["attempts"], row["last_reply"]) == ("waiting", 1, DEFERRED)
    due = row["next_attempt_at"]
    due = due if isinstance(due, float) else datetime.fromisoformat(due).timestamp()
    # 5 minutes, give or take a fifth.
    assert began + 240 - 1 <= due <= time.time() + 360
    gateway.cli("queue", "retry", message_id)
    wait_until(lambda: next(iter(states(gateway, message_id).values()))["attempts"] == 2, what="a retry")
    assert reports(gateway, "LATER-1") == []


@pytest.mark.parametrize(
    ("options", "content", "recipient", "status"),
    [
        (("BODY=8BITMIME",), "schön", "x@dest.test", "5.6.3"),
        (("SMTPUTF8", "BODY=8BITMIME"), "schön", "jörg@dest.test", "5.6.7"),
    ],
)
def test_what_a_peer_cannot_take_comes_back_unconverted(
    gateway: Gateway, ancient: Sink, options: tuple[str, ...], content: str, recipient: str, status: str
) -> None:
    marker = f"OLD-{status}"
    message = (
        f"From: {gateway.address}\r\nTo: someone\r\nSubject: hi\r\nX-Gatepost-Stream: old\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: 8bit\r\n\r\n{content}\r\n"
    ).encode()
    with gateway.smtp() as client:
        client.ehlo()
        client.command_encoding = "utf-8"
        replies = [
            client.mail(gateway.address, (*options, f"ENVID={marker}")),
            client.docmd(f"RCPT TO:<{recipient}>"),
            client.data(message),
        ]
    assert [code for code, _ in replies] == [250, 250, 250], replies
    message_id = replies[-1][1].decode().split()[3]
    [row] = states(gateway, message_id).values()
    assert row["state"] == "bounced"
    assert status in row["last_reply"]
    [(_, wire)] = wait_until(lambda: reports(gateway, marker), what="a report")
    assert re.search(rf"(?m)^Status: {re.escape(status)}", wire.decode())
    assert "schön".encode() in wire
    assert ancient.messages == []
