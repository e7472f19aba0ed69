"""Policies as a client and an operator meet them: environments, streams, rules, bursts, records."""

import base64
import smtplib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.acceptance.test_first_message import split_capture
from tests.support.gateway import Gateway, plain_message, submit, wait_until
from tests.support.sink import Script, Sink, serving

RULES = """
extends = "default"
[[rules]]
name = "look at invoices"
any = [{ field = "subject", op = "contains", value = "invoice" }]
action = "hold"
[[rules]]
name = "nothing to rivals"
any = [{ field = "to.domain", op = "is", value = "rival.example" }]
action = "reject"
"""
SLOW = 'extends = "default"\n[limits.account]\nmessages_per_minute = 1\n'

# Many commands, each a process: on a busy machine they take a while.
pytestmark = pytest.mark.timeout(300)


class Sender(NamedTuple):
    """An account that can log in."""

    address: str
    password: str
    key_id: str


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with serving(Script()) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("policies")
    running = Gateway(folder / "var")
    running.edit_config(
        lambda text: text.replace("[relay]\n", '[relay]\nallowed_recipients = ["allowed.test"]\n')
    )
    running.start()
    for name, document in (("ruled", RULES), ("slow", SLOW)):
        (folder / "documents").mkdir(exist_ok=True)
        (folder / "documents" / f"{name}.toml").write_text(document)
    running.cli("policy", "apply", str(folder / "documents"))
    for name in ("ruled", "slow"):
        running.cli("workspace", "create", name, "--tenant", running.tenant_id, "--policy", name)
    yield running
    assert running.stop() == 0


def make_account(gateway: Gateway, address: str, *options: str, tenant: str | None = None) -> Sender:
    """A new account with an app password."""
    gateway.cli("account", "create", address, "--tenant", tenant or gateway.tenant_id, "--smtp", *options)
    made = gateway.cli("app-password", "create", address)
    return Sender(address, made["app_password"], made["id"])


@pytest.fixture(scope="module")
def ruled(gateway: Gateway) -> Sender:
    return make_account(gateway, f"ruled@{gateway.state['domain']}", "--workspace", "ruled")


def recipients_of(gateway: Gateway, message_id: str) -> dict[str, dict[str, Any]]:
    """The queue's rows of a message by recipient."""
    return {row["recipient"]: row for row in gateway.cli("queue", "show", message_id)["recipients"]}


def test_staging_mail_leaves_only_to_whom_the_operator_allows(gateway: Gateway, sink: Sink) -> None:
    tenant = gateway.cli("tenant", "create", "Stage", "--environment", "staging")["id"]
    domain = next(d for d in gateway.cli("domain", "list") if d["tenant_id"] == tenant)
    assert domain["environment"] == "staging"
    shard = next(s["name"] for s in gateway.cli("shard", "list") if s["tenant_id"] == tenant)
    gateway.cli("shard", "route", shard, f"smtp://127.0.0.1:{sink.port}")
    sender = make_account(gateway, f"a@{domain['name']}", tenant=tenant)
    to = ("a@allowed.test", "b@other.test", "c@sub.allowed.test")
    with gateway.smtp(sender.address, sender.password) as client:
        message_id = submit(client, plain_message(sender.address, subject="stage"), to, sender.address)
    folder = Path(gateway.state["captured"])
    captured = wait_until(
        lambda: sink.messages and len(found := list(folder.glob(f"{message_id}-*.eml"))) == 2 and found,
        what="one message delivered and two captured",
    )
    envelopes = [split_capture(path.read_bytes())[0]["X-Gatepost-Envelope-To"] for path in captured]
    assert sorted(address.strip("<>") for one in envelopes for address in one) == sorted(to[1:])
    wait_until(
        lambda: {row["state"] for row in recipients_of(gateway, message_id).values()} == {"delivered"},
        what="three outcomes",
    )
    [outside] = sink.messages
    assert [recipient.split(" ")[0] for recipient in outside.recipients] == ["TO:<a@allowed.test>"]


def test_a_stream_selects_its_shard(gateway: Gateway) -> None:
    shard = f"news.{gateway.state['domain']}"
    gateway.cli("shard", "create", shard, "--tenant", gateway.tenant_id, "--stream", "marketing", "--route", "capture:")  # fmt: skip
    gateway.obeyed()
    for stream, expected in (("marketing", shard), ("transactional", gateway.state["shard"])):
        content = f"X-Gatepost-Stream: {stream}\r\n".encode() + plain_message(gateway.address)
        envelope, wire = split_capture(gateway.captured(gateway.send(content)))
        assert envelope["X-Gatepost-Envelope-From"][0].strip("<>").endswith("@" + expected)
        assert b"X-Gatepost" not in wire


def test_a_held_message_leaves_when_it_is_released(gateway: Gateway, ruled: Sender) -> None:
    with gateway.smtp(ruled.address, ruled.password) as client:
        client.ehlo()
        client.mail(ruled.address)
        client.rcpt("x@example.org")
        code, reply = client.data(plain_message(ruled.address, subject="Your invoice"))
    assert code == 250
    assert reply.endswith(b"held")
    message_id = reply.decode().split()[3]
    shown = gateway.cli("queue", "show", message_id)
    assert shown["hold_rule"].endswith("look at invoices")
    assert [row["state"] for row in shown["recipients"]] == ["held"]
    assert not list(Path(gateway.state["captured"]).glob(f"{message_id}-*"))
    gateway.cli("queue", "release", message_id)
    assert b"Your invoice" in gateway.captured(message_id)
    kinds = [event["kind"] for event in gateway.cli("trace", message_id)]
    assert "released" in kinds


def refusal(client: smtplib.SMTP, content: bytes, to: str, sender: str) -> str:
    """The reply to a message that must be refused."""
    with pytest.raises(smtplib.SMTPResponseException) as caught:
        submit(client, content, (to,), sender)
    return f"{caught.value.smtp_code} {caught.value.smtp_error.decode()}"


def test_refusals_name_their_rule_and_are_listed(gateway: Gateway, ruled: Sender) -> None:
    program = base64.encodebytes(b"MZ" + bytes(200)).decode().replace("\n", "\r\n")
    attached = (
        f"From: {ruled.address}\r\nTo: x@example.org\r\nSubject: hi\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        '--b\r\nContent-Type: application/pdf; name="invoice.pdf"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{program}\r\n--b--\r\n"
    ).encode()
    content = plain_message(ruled.address, subject="rival")
    with gateway.smtp(ruled.address, ruled.password) as client:
        by_rule = refusal(client, content, "x@rival.example", ruled.address)
        by_type = refusal(client, attached, "x@example.org", ruled.address)
        by_sender = refusal(client, content, "x@example.org", "boss@example.net")
    assert by_rule.startswith("550 5.7.1")
    assert "nothing to rivals" in by_rule
    assert by_type.startswith("550 5.7.1")
    assert "application/x-dosexec" in by_type
    assert by_sender.startswith("550 5.7.1")
    listed = wait_until(
        lambda: len(rows := gateway.cli("refused", "list", "--account", ruled.address)) == 3 and rows,
        what="three records",
    )
    by_reply = {row["reply"]: row for row in listed}
    assert set(by_reply) == {by_rule, by_type, by_sender}
    assert "nothing to rivals" in by_reply[by_rule]["rule"]
    assert by_reply[by_rule]["recipients"] == ["x@rival.example"]
    assert by_reply[by_rule]["from_address"] == ruled.address
    assert by_reply[by_sender]["reverse_path"] == "boss@example.net"
    assert by_reply[by_sender]["recipients"] == []


def test_a_burst_is_shaped_and_then_refused(gateway: Gateway) -> None:
    sender = make_account(gateway, f"slow@{gateway.state['domain']}", "--workspace", "slow")
    content = plain_message(sender.address)
    # The second message waits for the next minute, which must not begin while we look at it.
    if (left := 60 - time.time() % 60) < 10:
        time.sleep(left + 0.1)
    with gateway.smtp(sender.address, sender.password) as client:
        minutes, ids = [int(time.time() // 60)], []
        # Two in one minute, wherever in it we are.
        while len(ids) < 2 or minutes[-3] != minutes[-1]:
            ids.append(submit(client, content, ("x@example.org",), sender.address))
            minutes.append(int(time.time() // 60))
        [shaped] = recipients_of(gateway, ids[-1]).values()
        assert shaped["state"] == "scheduled"
        assert 0 < at(shaped["next_attempt_at"]) - minutes[-1] * 60 <= 60 + 90
        with pytest.raises(smtplib.SMTPResponseException) as caught:
            for _ in range(4):
                submit(client, content, ("x@example.org",), sender.address)
        reply = caught.value.smtp_error.decode()
    assert caught.value.smtp_code == 452
    assert reply.startswith("4.7.1")
    assert "limit of 1 messages" in reply
    assert "opens at" in reply


def at(value: Any) -> float:
    """A time of a JSON document as seconds since 1970."""
    return value if isinstance(value, int | float) else datetime.fromisoformat(value).timestamp()


def logs_in(gateway: Gateway, login: str, password: str) -> bool:
    """Whether a session may begin."""
    try:
        with gateway.smtp(login, password):
            return True
    except smtplib.SMTPAuthenticationError:
        return False


def test_sign_ins_tell_the_truth_to_the_operator(gateway: Gateway) -> None:
    sender = make_account(gateway, f"signs@{gateway.state['domain']}")
    [unused] = gateway.cli("app-password", "list", sender.address)
    assert unused["last_used_at"] is None
    began = time.time() - 1
    with gateway.smtp(sender.address, sender.password):
        pass
    with pytest.raises(smtplib.SMTPAuthenticationError), gateway.smtp(sender.address, "gp_Wrong" + "0" * 30):
        pass
    gateway.cli("app-password", "revoke", sender.key_id)
    wait_until(lambda: not logs_in(gateway, sender.address, sender.password), what="the refusal")
    gateway.cli("account", "update", sender.address, "--no-smtp")
    other = gateway.cli("app-password", "create", sender.address, "--scope", "smtp")
    gateway.obeyed()
    with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
        with gateway.smtp(sender.address, other["app_password"]):
            pass
    # After a correct password the client hears the truth.
    assert b"off" in caught.value.smtp_error
    logins = wait_until(
        lambda: (
            (rows := gateway.cli("account", "logins", sender.address))
            and len({row["outcome"] for row in rows}) >= 4
            and rows
        ),
        what="four outcomes",
    )
    assert logins[0]["at"] >= logins[-1]["at"]
    assert {row["protocol"] for row in logins} == {"smtp"}
    assert {row["address"] for row in logins} == {"127.0.0.1"}
    listed = gateway.cli("app-password", "list", sender.address, "--revoked")
    used = next(row for row in listed if row["id"] == sender.key_id)
    assert at(used["last_used_at"]) >= began
    assert used["last_used_address"] == "127.0.0.1"
