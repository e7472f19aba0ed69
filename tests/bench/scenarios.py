"""The shapes of load that are measured."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True, slots=True)
class Scenario:
    """`messages` of `size` octets in all, over `sessions` at once; `per_connection` 0: all on one connection."""

    name: str
    size: int
    messages: int
    sessions: int
    per_connection: int = 0

    def shortened(self) -> Scenario:
        """A fifth of the messages, at least one a session."""
        return Scenario(
            self.name, self.size, max(self.messages // 5, self.sessions), self.sessions, self.per_connection
        )


SCENARIOS = (
    Scenario("persist-2k", 2 * KIB, 2000, 20),
    Scenario("persist-10k", 10 * KIB, 2000, 20),
    Scenario("persist-100k", 100 * KIB, 600, 20),
    Scenario("persist-1m", KIB * KIB, 100, 20),
    Scenario("connection-2k", 2 * KIB, 600, 20, per_connection=1),
    Scenario("single-2k", 2 * KIB, 300, 1),
)
