"""Programs send over the API of a running gateway, and hear what becomes of it: by stream, by tail, by webhook."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway, wait_until
from tests.support.receiver import Receiver

SETTINGS = "\n[webhooks]\nallow_private = true\n"
MESSAGE = {"to": ["Bob <b@example.net>"], "subject": "Grüße", "text": "Hello!", "html": "<p>Hello!</p>"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("gateway") / "var", settings=SETTINGS).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def api(gateway: Gateway) -> Iterator[httpx.Client]:
    """A client with the quickstart's key."""
    state = gateway.state["api"]
    headers = {"Authorization": f"Bearer {state['key']}"}
    with httpx.Client(base_url=state["url"], headers=headers, timeout=60) as client:
        yield client


def send(api: httpx.Client, gateway: Gateway, **headers: str) -> Any:
    """One message by JSON; what the API says of it."""
    grant_id = gateway.state["account"]["grant_id"]
    reply = api.post(f"/v1/accounts/{grant_id}/messages", json=MESSAGE, headers=headers)
    assert reply.status_code == 202, reply.text
    return reply.json()


def captured(gateway: Gateway, message_id: str) -> EmailMessage:
    """A message as it left."""
    message = message_from_bytes(gateway.captured(message_id), policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_message_sent_as_json_arrives_signed(gateway: Gateway, api: httpx.Client) -> None:
    sent = send(api, gateway)
    assert sent["state"] == "queued"
    arrived = captured(gateway, sent["id"])
    assert (arrived["Subject"], arrived["From"].addresses[0].addr_spec) == ("Grüße", gateway.address)
    assert arrived["DKIM-Signature"]
    text = arrived.get_body(("plain",))
    assert text is not None
    assert text.get_content().strip() == "Hello!"


def test_the_same_key_is_one_message_whoever_asks_again(gateway: Gateway, api: httpx.Client) -> None:
    first, again = (send(api, gateway, **{"Idempotency-Key": "order-1"}) for _ in range(2))
    assert (again["id"], again["repeated"]) == (first["id"], True)


def test_the_command_line_sends_files_and_raw_messages(gateway: Gateway, tmp_path: Path) -> None:
    file, text, raw = tmp_path / "a.pdf", tmp_path / "text", tmp_path / "raw"
    file.write_bytes(b"%PDF-1.4 not really")
    text.write_text("Hello from a file")
    raw.write_bytes(f"From: {gateway.address}\r\nTo: c@example.net\r\nSubject: raw\r\n\r\nhi\r\n".encode())
    options = ("--to", "b@example.net", "--subject", "files", "--text", str(text), "--attach", str(file))
    sent = gateway.cli("message", "send", gateway.address, *options)
    names = [part.get_filename() for part in captured(gateway, sent["id"]).iter_attachments()]
    assert names == ["a.pdf"]
    plain = gateway.cli("message", "send", gateway.address, "--raw", str(raw))
    assert b"\r\nSubject: raw\r\n" in gateway.captured(plain["id"])
    found = gateway.cli("message", "list", "--recipient", "c@example.net")
    assert [row["id"] for row in found] == [plain["id"]]


def test_the_tail_and_the_stream_tell_what_becomes_of_it(gateway: Gateway, api: httpx.Client) -> None:
    start = api.get("/v1/events", params={"start": "now"}).json()["next_cursor"]
    command = [sys.executable, "-m", "gateway", "--config", gateway.config, "events", "tail"]
    options = ["--since-oldest", "--json"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as tail:
        sent = send(api, gateway)
        subject = f"message/{sent['id']}"
        assert tail.stdout is not None
        told = [json.loads(line)["type"] for line in _until(tail.stdout, subject, "delivered")]
        assert told[-1] == "gatepost.message.delivered"
        tail.kill()
    with api.stream("GET", "/v1/events/stream", params={"cursor": start}) as stream:
        lines = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: "))
        streamed = [json.loads(line) for line in _until(lines, subject, "delivered")]
    mine = [event["type"] for event in streamed if event["subject"] == subject]
    assert mine == ["gatepost.message.accepted", "gatepost.message.delivered"]


def test_a_webhook_made_over_the_api_hears_of_it(gateway: Gateway, api: httpx.Client) -> None:
    receiver = Receiver(200)
    try:
        body = {"url": receiver.url(), "tenant": gateway.tenant_id, "events": ["message.delivered"]}
        made = api.post("/v1/webhooks", json=body)
        assert made.status_code == 201, made.text
        subject = f"message/{send(api, gateway)['id']}"
        wait_until(
            lambda: subject in [json.loads(one.body)["subject"] for one in receiver.received],
            what="the delivery",
        )
        assert api.delete(f"/v1/webhooks/{made.json()['id']}").status_code == 200
    finally:
        receiver.close()


def test_a_stop_ends_streams_at_once(tmp_path: Path) -> None:
    running = Gateway(tmp_path / "var").start()
    state = running.state["api"]
    headers = {"Authorization": f"Bearer {state['key']}"}
    with (
        httpx.Client(base_url=state["url"], headers=headers, timeout=60) as client,
        client.stream("GET", "/v1/events/stream") as stream,
    ):
        assert next(stream.iter_lines()) is not None
        assert running.stop() == 0
    assert "cancelled" not in running.log_text().lower()


def _until(lines: Any, subject: str, word: str) -> Iterator[str]:
    """Lines up to the one that tells of this subject and this word."""
    for line in lines:
        yield line
        event = json.loads(line)
        if event["subject"] == subject and event["type"].endswith(word):
            return
