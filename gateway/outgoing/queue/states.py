"""The states of a recipient in the queue and who may change which to which.

`docs/queue-states.md` is the same table in prose; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where one recipient of one message stands."""

    SCHEDULED = "scheduled"
    READY = "ready"
    OWNED = "owned"
    UNKNOWN = "unknown"
    WAITING = "waiting"
    HELD = "held"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    DROPPED = "dropped"


class Step(StrEnum):
    """What moves a recipient from one state to another. The word before the dot is who may."""

    ACCEPT = "intake.accept"
    PROMOTE = "store.promote"
    CLAIM = "relay.claim"
    CLAIM_LATE = "relay.claim_late"
    UNANSWERED = "relay.unanswered"
    DELIVERED = "relay.delivered"
    DEFERRED = "relay.deferred"
    BOUNCED = "relay.bounced"
    EXPIRED = "relay.expired"
    HAND_BACK = "relay.hand_back"
    PARK = "relay.park"
    RESUME = "relay.resume"
    RECOVER = "supervisor.recover"
    RETRY = "operator.retry"
    HOLD = "operator.hold"
    RELEASE = "operator.release"
    DROP = "operator.drop"


LIVE = (State.SCHEDULED, State.READY, State.OWNED, State.UNKNOWN, State.WAITING, State.HELD)
"""A recipient in one of these still needs its message's body."""

FINISHED = (State.DELIVERED, State.BOUNCED, State.EXPIRED, State.DROPPED)
"""Nothing moves a recipient out of one of these."""

TAKEN = (State.OWNED, State.UNKNOWN)
"""A worker incarnation has it; only that one, or its recovery, may change it."""

_IDLE = frozenset({State.SCHEDULED, State.READY, State.WAITING})

TRANSITIONS: Mapping[Step, tuple[frozenset[State | None], frozenset[State]]] = MappingProxyType(
    {
        Step.ACCEPT: (
            frozenset({None}),
            frozenset({State.OWNED, State.READY, State.SCHEDULED, State.WAITING, State.HELD}),
        ),
        Step.PROMOTE: (frozenset({State.SCHEDULED, State.WAITING}), frozenset({State.READY})),
        Step.CLAIM: (frozenset({State.READY}), frozenset({State.OWNED})),
        Step.CLAIM_LATE: (frozenset({State.WAITING}), frozenset({State.OWNED})),
        Step.UNANSWERED: (frozenset({State.OWNED}), frozenset({State.UNKNOWN})),
        Step.DELIVERED: (frozenset(TAKEN), frozenset({State.DELIVERED})),
        Step.DEFERRED: (frozenset(TAKEN), frozenset({State.WAITING})),
        Step.BOUNCED: (frozenset(TAKEN), frozenset({State.BOUNCED})),
        Step.EXPIRED: (frozenset(TAKEN), frozenset({State.EXPIRED})),
        Step.HAND_BACK: (frozenset(TAKEN), frozenset({State.READY})),
        Step.PARK: (frozenset({State.READY}), frozenset({State.WAITING})),
        Step.RESUME: (frozenset({State.WAITING}), frozenset({State.READY})),
        Step.RECOVER: (frozenset(TAKEN), frozenset({State.READY})),
        Step.RETRY: (frozenset({State.SCHEDULED, State.WAITING}), frozenset({State.READY})),
        Step.HOLD: (_IDLE, frozenset({State.HELD})),
        Step.RELEASE: (frozenset({State.HELD}), frozenset({State.READY, State.SCHEDULED})),
        Step.DROP: (_IDLE | {State.HELD}, frozenset({State.DROPPED})),
    }
)
"""For each step: the states it may leave (None: no row yet) and the states it may enter."""
