"""The queue into the store thread: what piled up, company for outcomes, withdrawal."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from gateway.outgoing.queue.inbox import COMPANY_SECONDS, MOST_ITEMS, Add, Inbox, Item, Record, Run


def add() -> Add:
    return Add(None, None)  # type: ignore[arg-type]


def record() -> Record:
    return Record(None, ())


def test_what_piled_up_is_taken_at_once_in_order() -> None:
    inbox = Inbox()
    items: list[Item] = [add(), record(), Run(None, lambda connection: None), add()]
    for item in items:
        inbox.put(item)
    assert inbox.take(0) == items
    assert inbox.take(0) == []


def test_a_batch_is_bounded() -> None:
    inbox = Inbox()
    for _ in range(MOST_ITEMS + 10):
        inbox.put(add())
    assert len(inbox.take(0) or ()) == MOST_ITEMS
    assert len(inbox.take(0) or ()) == 10


def test_a_closed_inbox_gives_out_what_it_has_and_then_ends() -> None:
    inbox = Inbox()
    inbox.put(record())
    inbox.close()
    assert not inbox.put(add())
    assert len(inbox.take(10) or ()) == 1
    assert inbox.take(10) is None


def test_outcomes_wait_for_company_but_a_message_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = Inbox()
    inbox.put(record())
    began = time.monotonic()
    assert len(inbox.take(1) or ()) == 1
    assert time.monotonic() - began >= COMPANY_SECONDS * 0.9
    monkeypatch.setattr("gateway.outgoing.queue.inbox.COMPANY_SECONDS", 30.0)
    taken: list[Any] = []
    thread = threading.Thread(target=lambda: taken.append(_take_slowly(inbox)))
    inbox.put(record())
    thread.start()
    inbox.put(add())
    thread.join(20)
    items, waited = taken[0]
    assert len(items) == 2
    assert waited < 20


def _take_slowly(inbox: Inbox) -> tuple[list[Item], float]:
    began = time.monotonic()
    return inbox.take(1) or [], time.monotonic() - began


def test_only_old_messages_are_withdrawn() -> None:
    inbox = Inbox()
    old, outcome = add(), record()
    inbox.put(old)
    inbox.put(outcome)
    border = time.monotonic() + 1
    assert inbox.withdraw_adds(old.put_at) == []
    assert inbox.withdraw_adds(border) == [old]
    assert inbox.take(0) == [outcome]
