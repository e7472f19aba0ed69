"""Changes of the platform's zones as people see them."""

from __future__ import annotations

from gateway.control.domains.publishing.values import Change, Kept, Outcome, RecordChange, Values

BY_HAND = "nothing is configured that publishes it: put it into the zone by hand"


def planned(change: Change, found: Values | None = None, *, by_hand: bool = False) -> RecordChange:
    """A change that is to be made; `found`: what stands there; `by_hand`: it waits for a person."""
    return _shown(change, found, BY_HAND if by_hand else None)


def done(outcome: Outcome) -> RecordChange:
    """A change as it went."""
    return _shown(outcome.change, None, outcome.error)


def pending_of(row: Kept, *, by_hand: bool) -> RecordChange:
    """A change that waits."""
    values = row.wanted if row.wanted is not None else row.published
    return RecordChange(
        name=row.key.name,
        type=row.key.type,
        action="put" if row.wanted is not None else "withdraw",
        values=values or (),
        found=(),
        tenant_id=row.tenant_id,
        error=row.error or (BY_HAND if by_hand else None),
        attempts=row.attempts,
        changed_at=row.changed_at,
        next_attempt_at=row.next_attempt_at,
    )


def _shown(change: Change, found: Values | None, error: str | None) -> RecordChange:
    return RecordChange(
        name=change.key.name,
        type=change.key.type,
        action=change.action,
        values=(change.after if change.after is not None else change.before) or (),
        found=found or (),
        tenant_id=change.tenant_id,
        error=error,
        attempts=0,
        changed_at=None,
        next_attempt_at=None,
    )
