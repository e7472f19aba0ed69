"""From an identity's effective policy to the counters its next message takes from."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from gateway.outgoing.quota.values import Charge, Metric, Scope
from gateway.outgoing.quota.windows import Window

if TYPE_CHECKING:
    from gateway.control.policies import ScopeLimits
    from gateway.control.records import Identity

_LIMITS = attrgetter(
    "messages_per_minute",
    "messages_per_hour",
    "messages_per_day",
    "messages_per_month",
    "recipients_per_day",
    "first_time_recipients_per_day",
)
_COUNTED: tuple[tuple[Metric, Window], ...] = (
    ("messages", "minute"),
    ("messages", "hour"),
    ("messages", "day"),
    ("messages", "month"),
    ("recipients", "day"),
    ("first_time_recipients", "day"),
)
"""What each of them counts, in the same order."""


def charges_for(identity: Identity, recipients: int) -> tuple[Charge, ...]:
    """What one message to `recipients` addresses takes from the limits of `identity`.

    One message counts 1 however many recipients it has. Empty if nothing is limited.
    """
    policy = identity.policy
    workspace = identity.workspace.id
    scopes: tuple[tuple[Scope, str, ScopeLimits], ...] = (
        ("account", identity.account.id, policy.account),
        ("tenant", f"{workspace}/{identity.tenant.id}", policy.tenant),
        ("workspace", workspace, policy.workspace),
    )
    charges: list[Charge] = []
    for scope, scope_id, limits in scopes:
        # Asked for at MAIL FROM and at the end of every message: plain loops, most limits being unlimited.
        for limit, (metric, window) in zip(_LIMITS(limits), _COUNTED, strict=True):
            if limit.value is not None:
                amount = 1 if metric == "messages" else recipients
                shared = scope == "workspace" and identity.workspace.tenant_id is None
                charges.append(
                    Charge(scope, scope_id, metric, window, limit.value, amount, limit.source, shared)
                )
    return tuple(charges)
