"""What nobody expected ends no loop of the relay: mail would lie until the next start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.system.database import Database
from tests.integration.outgoing.relay.world import Control, world


class Failing(Control):
    """Breaks once where claiming asks it, then works."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0

    def paused_shards(self) -> frozenset[str]:
        if not self.failures:
            self.failures += 1
            raise RuntimeError("a defect")
        return super().paused_shards()


async def test_claiming_goes_on_after_an_unexpected_error(
    location_database: Database, tmp_path: Path
) -> None:
    control = Failing()
    async with world(location_database, tmp_path, control=control) as here:
        await here.put(hand_over=False)
        await here.until_states(location_database, "delivered")
    assert control.failures == 1


async def test_ticking_goes_on_after_an_unexpected_error(
    location_database: Database, tmp_path: Path, monkeypatch: Any
) -> None:
    async with world(location_database, tmp_path, started=False) as here:
        ticks = []

        def tick() -> None:
            ticks.append(1)
            raise RuntimeError("a defect")

        monkeypatch.setattr(here.relay._dispatcher, "tick", tick)
        here.relay.start()
        await here.until(lambda: len(ticks) > 1)
        monkeypatch.undo()
        await here.put()
        await here.until_states(location_database, "delivered")
