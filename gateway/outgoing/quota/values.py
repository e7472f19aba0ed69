"""What a message is charged for, and the refusal when a limit is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.quota.windows import Window, spelled

Scope = Literal["account", "tenant", "workspace"]
Metric = Literal["messages", "recipients", "first_time_recipients"]

_WINDOW_WORDS = {"minute": "per-minute", "hour": "hourly", "day": "daily", "month": "monthly"}
_METRIC_WORDS = {
    "messages": "messages",
    "recipients": "recipients",
    "first_time_recipients": "first-time recipients",
}


@dataclass(frozen=True, slots=True)
class Charge:
    """One limited counter that a message takes from.

    `scope_id` is the account's id, `workspace/tenant` for a tenant within its workspace, or the
    workspace's id. `amount` is what this message takes; for first-time recipients an upper bound,
    the store counts those it does not know. `document` names the policy or plan that set `limit`.
    An unlimited scope has no charge. `shared`: the counter is of a workspace that is no tenant's own.
    """

    scope: Scope
    scope_id: str
    metric: Metric
    window: Window
    limit: int
    amount: int
    document: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Reached:
    """A counter has come to `percent` of its limit with this charge, and stands at `value`.

    `window_start` in seconds since 1970.
    """

    charge: Charge
    percent: int
    value: int
    window_start: int


class QuotaRefused(Refusal):
    """A limit is reached: `452 4.7.1 daily limit of 200 messages reached …; opens at …Z`.

    A message that by itself is over the limit can never be accepted: 550 5.7.1 then, and
    `opens_at` is None.
    """

    def __init__(self, charge: Charge, amount: int, opens_at: float | None) -> None:
        limit = f"{_WINDOW_WORDS[charge.window]} limit of {charge.limit} {_METRIC_WORDS[charge.metric]}"
        if opens_at is None:
            text = f"this message counts {amount}, more than the {limit} for this {charge.scope} ever allows"
            reply = Reply(550, "5.7.1", text)
        else:
            text = f"{limit} reached for this {charge.scope}; opens at {spelled(opens_at)}"
            reply = Reply(452, "4.7.1", text)
        which = f"{charge.scope} {charge.metric} per {charge.window}"
        super().__init__(reply, f"quota {which} ({charge.document})")
        self.charge = charge
        self.opens_at = opens_at
