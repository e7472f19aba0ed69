"""What should stand in DNS, what is to be changed, and how that went. Pure values.

Names are A-labels without a final dot; values as people write them (see gateway.control.domains.zonefile).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from gateway.control.settings import ControlSettings

PLATFORM = "platform"
"""The owner of what belongs to no single domain."""

Values = tuple[str, ...]
"""All values of a name and type, sorted; never empty."""

TYPES = ("TXT", "MX", "CNAME")
"""The types that are published. What else stands in a zone (addresses, DNSSEC's own) is its operator's."""


class RecordKey(NamedTuple):
    """A name and a type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should stand at a name and type, and for whom: a domain, a shard without one, or the platform."""

    key: RecordKey
    values: Values
    owner: str
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What the installation remembers of a name and type.

    `wanted`: what it tried to put there last; `published`: what stands there of ours, as far as is known.
    """

    key: RecordKey
    owner: str
    tenant_id: str | None
    wanted: Values | None
    published: Values | None
    changed_at: float
    attempts: int = 0
    next_attempt_at: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """`before` to `after`; None is nothing. `ours`: contents that can only be there because we put them."""

    key: RecordKey
    owner: str
    tenant_id: str | None
    before: Values | None
    after: Values | None
    ours: Collection[Values] = ()

    @property
    def action(self) -> str:
        """ "put" or "withdraw"."""
        return "withdraw" if self.after is None else "put"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a change went: `error` None if it is done, else a sentence for the operator."""

    change: Change
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RecordChange:
    """A change of the platform's zones that is to be made, or was made, as people see it.

    `values` are those to put, or to take away; `found` what stands there instead, where that was looked at.
    `error` says why it is not done yet. Times are seconds since 1970.
    """

    name: str
    type: str
    action: str
    values: tuple[str, ...]
    found: tuple[str, ...]
    tenant_id: str | None
    error: str | None
    attempts: int
    changed_at: float | None
    next_attempt_at: float | None


def only_ours(settings: ControlSettings) -> tuple[str, str]:
    """The names below which nothing stands but what the gateway put there."""
    return f"dkim.{settings.hostname}", f"shards.{settings.hostname}"


def foreign_words(key: RecordKey, found: Values) -> str:
    """Why something is left as it is."""
    shown = ", ".join(value[:80] for value in found[:3])
    return f"{key.name} has a {key.type} that was not published here and is not overwritten: {shown}"
