"""Webhooks over real databases, on both dialects, and real receivers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gateway.system.database import Database
from tests.integration.outgoing.webhooks.world import World
from tests.support.control import MakeServices
from tests.support.receiver import Receiver


@pytest.fixture
def world(make_services: MakeServices, control_url: str, location_database: Database) -> World:
    return World.make(make_services, control_url, location_database)


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    """A function that makes receivers, closed at the end."""
    made: list[Receiver] = []

    def make(*answers: int, **options: object) -> Receiver:
        made.append(Receiver(*answers, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()
