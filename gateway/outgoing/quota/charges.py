"""From an identity's effective policy to the counters its next message takes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.outgoing.quota.values import Charge, Metric, Scope
from gateway.outgoing.quota.windows import Window

if TYPE_CHECKING:
    from gateway.control.policies import ScopeLimits
    from gateway.control.records import Identity

_COUNTED: tuple[tuple[str, Metric, Window], ...] = (
    ("messages_per_minute", "messages", "minute"),
    ("messages_per_hour", "messages", "hour"),
    ("messages_per_day", "messages", "day"),
    ("messages_per_month", "messages", "month"),
    ("recipients_per_day", "recipients", "day"),
    ("first_time_recipients_per_day", "first_time_recipients", "day"),
)


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
    return tuple(charge for scope in scopes for charge in _of_scope(*scope, recipients))


def _of_scope(scope: Scope, scope_id: str, limits: ScopeLimits, recipients: int) -> Iterator[Charge]:
    for name, metric, window in _COUNTED:
        limit = getattr(limits, name)
        if limit.value is not None:
            amount = 1 if metric == "messages" else recipients
            yield Charge(scope, scope_id, metric, window, limit.value, amount, limit.source)
