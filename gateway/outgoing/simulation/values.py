"""What a simulation finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["refused", "held"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A message that was accepted and would not have been, or not at once.

    `rule` and `reply` are what its sender would have met; `reply` of a hold is None, its sender sees no
    difference. `recipients` are the first of `recipient_count`. `at` is in seconds since 1970 (UTC).
    """

    message_id: str
    at: float
    outcome: Outcome
    rule: str
    reply: str | None
    tenant_id: str
    account_id: str
    account: str
    sender: str
    subject: str | None
    recipients: tuple[str, ...]
    recipient_count: int


@dataclass(frozen=True, slots=True)
class RuleTotal:
    """All differences that one rule makes."""

    rule: str
    outcome: Outcome
    messages: int
    recipients: int
    accounts: int


@dataclass(frozen=True, slots=True)
class AccountTotal:
    """All differences of one account."""

    account_id: str
    account: str
    tenant_id: str
    refused: int
    held: int
    recipients: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """The mail of one workspace since `since` under other documents.

    `accepted` counts what was judged and passes as before, `released` what was held and would not be.
    `unjudged` counts messages of which too little was kept, by what is missing. `differences` are the first
    of all, in the order of time; the totals are of all.
    """

    workspace_id: str
    policy: str
    since: float
    until: float
    accepted: int
    refused: int
    held: int
    released: int
    recipients: int
    unjudged: Mapping[str, int]
    rules: tuple[RuleTotal, ...]
    accounts: tuple[AccountTotal, ...]
    differences: tuple[Difference, ...]

    @property
    def changes_nothing(self) -> bool:
        """Whether every message that could be judged would have gone as it went."""
        return not (self.refused or self.held or self.released)
