"""Mail of programs beside a running gateway, and while nothing serves."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.app.parts import opened
from gateway.app.sending import QUEUE_HINT, REVISION_HINT, open_hints, sender_alone
from gateway.control.records import Actor
from gateway.outgoing.composing import OutgoingMessage, SentMessage, read_address
from gateway.system.config import load
from tests.support.gateway import Gateway, wait_until

PROGRAM = Actor("cli", "tester")


async def _send(gateway: Gateway, subject: str) -> SentMessage:
    message = OutgoingMessage(to=(read_address("bob@there.example"),), subject=subject, text="Hello.")
    with opened(load(Path(gateway.config), {})) as ground:
        async with AsyncExitStack() as stack:
            sender = await stack.enter_async_context(sender_alone(ground))
            return await sender.send(PROGRAM, gateway.address, message)


def test_another_process_stores_and_the_mail_processes_carry(gateway: Gateway) -> None:
    hints = open_hints(load(Path(gateway.config), {}))
    try:
        sent = asyncio.run(_send(gateway, "beside"))
        assert hints.send(QUEUE_HINT) == 2, "both mail processes hear it"
    finally:
        hints.close()
    content = gateway.captured(sent.id)
    assert b"Subject: beside" in content
    assert b"DKIM-Signature:" in content


def test_a_change_of_the_control_plane_is_told_to_the_other_processes(gateway: Gateway) -> None:
    heard: list[str] = []
    hints = open_hints(load(Path(gateway.config), {}), "listener")
    try:
        gateway.cli("tenant", "create", "Told")
        wait_until(lambda: hints.receive(heard.append) or heard, what="the word")
        assert REVISION_HINT in heard
    finally:
        hints.close()


def test_what_was_stored_while_nothing_served_leaves_after_the_start(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "var")
    sent = asyncio.run(_send(gateway, "before"))
    assert sent.state == "queued"
    gateway.start()
    try:
        assert b"Subject: before" in gateway.captured(sent.id)
    finally:
        assert gateway.stop() == 0
