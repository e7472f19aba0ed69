"""Waiting for a domain's state: how often it is looked at, what is told, and when it ends."""

from __future__ import annotations

from typing import Any

from gateway.faces.cli.commands.domainviews import Wait, progress


class Look:
    """A domain whose state changes with time; pauses are what makes time go on."""

    def __init__(self, *changes: tuple[float, dict[str, Any]]) -> None:
        self.changes = changes
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> dict[str, Any]:
        return {"name": "acme.test", **[row for at, row in self.changes if at <= self.now][-1]}

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def waited(self, timeout: float, wanted: str = "active") -> list[str]:
        wait = Wait(self, wanted, timeout, lambda: self.now, self.pause)
        return [progress(found, wanted) for found in wait.looks()]


PENDING = {"state": "pending", "reason": "The proof is missing.", "next_look_at": "2026-11-26T12:01:00Z"}


def test_only_what_is_new_is_told() -> None:
    look = Look((0, PENDING), (50, {"state": "verifying"}), (200, {"state": "active"}))
    assert look.waited(3_600) == [
        "acme.test: pending; The proof is missing; ready at 2026-11-26T12:01:00Z at the earliest",
        "acme.test: verifying",
        "acme.test: active",
    ]


def test_looks_become_rarer_up_to_a_bound() -> None:
    look = Look((0, PENDING))
    look.waited(3_600)
    assert look.pauses[:3] == [2.0, 3.0, 4.5]
    assert max(look.pauses) == 30.0
    assert sum(look.pauses) == 3_600


def test_what_is_so_already_is_not_waited_for() -> None:
    look = Look((0, {"state": "active"}))
    assert look.waited(3_600) == ["acme.test: active"]
    assert look.pauses == []


def test_the_end_of_the_time_is_told_even_if_nothing_is_new() -> None:
    look = Look((0, {"state": "pending"}))
    assert look.waited(10) == ["acme.test: pending", "acme.test: pending"]


def test_a_domain_that_cannot_become_so_by_itself_ends_the_wait() -> None:
    look = Look((0, PENDING), (20, {"state": "expired"}))
    assert look.waited(3_600)[-1] == "acme.test: expired"
    assert look.now < 60
