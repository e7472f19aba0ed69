"""Counters on their way to another location."""

from __future__ import annotations

from gateway.app.parts import Ground
from gateway.control.records import Actor
from gateway.control.transaction import ControlWrites
from gateway.control.workspaces.settling import Settlement
from gateway.outgoing.quota.carrying import Carrier

_SYSTEM = Actor(kind="system", id="settling")


def settle_moves(ground: Ground) -> int:
    """Let counters follow what was moved. Raises DatabaseAway: the next run tries again."""
    key = ground.installation.durable_key("audit")
    writes = ControlWrites(ground.control, ground.clock, ground.ids, key)
    return Settlement(writes, Carrier(ground.locations, ground.clock)).run(_SYSTEM)
