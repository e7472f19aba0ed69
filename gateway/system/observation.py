"""What DNS said about a name and a type: by whom, and for how long it may be kept. Pure values.

Names are A-labels in lower case without a final dot. Values are as people write them: an MX is
`preference host`, a TXT its strings joined, control characters spelled `\\x1b`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Outcome = Literal["found", "absent", "no-such-name", "away"]
"""`absent`: the name is there, but has nothing of the type. `away`: nothing usable was answered."""

Source = Literal["authority", "resolver"]


class Question(NamedTuple):
    """A name and a type, such as TXT."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Observation:
    """The answer to one question. `seconds`: for how long it cannot be another (TTL, or negative TTL).

    `chain`: the names that aliases led to, in order; an authority leaves its end to others, so that `found`
    with a chain and no answers is an alias whose target nobody was asked about. `zone` and `servers`: whose
    servers were asked, where it was the authority. `reason`: why there is nothing usable.
    """

    name: str
    type: str
    outcome: Outcome
    answers: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    seconds: float = 0.0
    source: Source = "authority"
    zone: str = ""
    servers: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def is_unfollowed(self) -> bool:
        """Whether it ends at an alias that leads out of the zone."""
        return self.outcome == "found" and not self.answers


def first_of(observations: Iterable[Observation], name: str, kind: str) -> Observation | None:
    """The observation of a name and type among several, if it was made."""
    return next((one for one in observations if (one.name, one.type) == (name.lower(), kind)), None)
