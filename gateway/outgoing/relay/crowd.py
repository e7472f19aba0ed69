"""How many wait where: what is not to be claimed from the database for now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gateway.outgoing.relay.gates import Entry, GateKey

MOST_WAITING = 5000
"""Entries in memory, in all; those claimed carry no content."""

_AT_A_GATE = 200
_AT_A_STANDING_GATE = 16
_OF_A_TENANT = 200


@dataclass(frozen=True, slots=True)
class Claimable:
    """How many rows there is room for, and which tenants and lanes (shard, domain) have enough waiting.

    A lane with the domain "" stands for all of its shard.
    """

    rows: int
    full_tenants: set[str]
    full_lanes: set[tuple[str, str]]


class Crowd:
    """Counts waiting entries by tenant and by gate.

    Whoever is slow must not fill the memory that the others' mail passes through: a gate at which
    nothing moves gets few places, a tenant at most as many as are left to all others.
    """

    def __init__(self) -> None:
        self._tenants: Counter[str] = Counter()
        self._gates: Counter[GateKey] = Counter()
        self._waiting = 0

    def joined(self, entry: Entry) -> None:
        """An entry waits."""
        self._tenants[entry.delivery.message.tenant_id] += 1
        self._gates[entry.gate] += 1
        self._waiting += 1

    def left(self, entry: Entry) -> None:
        """An entry waits no longer."""
        tenant, gate = entry.delivery.message.tenant_id, entry.gate
        self._waiting -= 1
        self._tenants[tenant] -= 1
        if not self._tenants[tenant]:
            del self._tenants[tenant]
        self._gates[gate] -= 1
        if not self._gates[gate]:
            del self._gates[gate]

    def claimable(self, moving: set[GateKey]) -> Claimable:
        """What there is room for; `moving` are the gates that have carried something lately."""
        room = max(0, MOST_WAITING - self._waiting)
        most = max(_OF_A_TENANT, room)
        return Claimable(
            room,
            {tenant for tenant, count in self._tenants.items() if count >= most},
            {
                _lane_of(gate)
                for gate, count in self._gates.items()
                if gate[0] and count >= (_AT_A_GATE if gate in moving else _AT_A_STANDING_GATE)
            },
        )


def _lane_of(gate: GateKey) -> tuple[str, str]:
    """All lanes of a shard pass through its smarthost's gate, `host:port`."""
    shard_id, destination = gate
    is_smarthost = ":" in destination and not destination.startswith("[")
    return shard_id, "" if is_smarthost else destination
