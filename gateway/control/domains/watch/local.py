"""Looks made by whoever asks for one, where no process watches."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from random import SystemRandom

from gateway.control.domains.watch.looking import Looker
from gateway.control.domains.watch.sight import DomainSight, Examine, MemoryBook
from gateway.control.domains.watch.states import Timing
from gateway.control.domains.watch.store import Book
from gateway.control.domains.watch.values import Look, Memory, Subject
from gateway.system.authority import AuthoritySettings, open_authorities
from gateway.system.clock import Clock


def local_sight(
    settings: AuthoritySettings,
    clock: Clock,
    *,
    book: Book | None = None,
    timing: Timing | None = None,
    random: Callable[[], float] | None = None,
) -> DomainSight:
    """Looks in an event loop of their own; without a `book` they are forgotten with the process."""
    return DomainSight(
        local_examine(settings, clock),
        book if book is not None else MemoryBook(),
        timing if timing is not None else Timing(),
        random if random is not None else SystemRandom().random,
    )


def local_examine(settings: AuthoritySettings, clock: Clock) -> Examine:
    """One look, and everything that it needs is closed again. Not in a thread that runs an event loop."""

    async def look(subject: Subject, memory: Memory) -> Look:
        authorities = open_authorities(settings, clock, secrets.randbits)
        try:
            return await Looker(authorities, clock).examine(subject, memory)
        finally:
            await authorities.close()

    return lambda subject, memory: asyncio.run(look(subject, memory))
