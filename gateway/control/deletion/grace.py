"""How long what is being deleted can still be had back. Pure."""

from __future__ import annotations

from gateway.control.errors import Conflict, Invalid

# A worker obeys within a second, or takes nothing after two: later nothing new can come in.
_LEAST_SECONDS = 5.0
_MOST_SECONDS = 90 * 86_400.0


def end_of_grace(now: float, asked: float | None, default: float) -> float:
    """When a thing that is deleted `now` will be gone; `asked` and `default` in seconds. Raises Invalid."""
    seconds = default if asked is None else asked
    if not 0 <= seconds <= _MOST_SECONDS:
        raise Invalid(
            "bad-grace",
            f"{seconds / 86_400:.6g} days are no time of grace.",
            f"Give 0 to {_MOST_SECONDS / 86_400:.0f} days; 0 deletes within a minute, for good.",
        )
    return now + max(seconds, _LEAST_SECONDS)


def require_restorable(kind: str, name: str, purge_at: float | None, now: float) -> None:
    """Raises Conflict unless the thing is being deleted and its time of grace still runs."""
    if purge_at is None:
        raise Conflict("not-deleting", f"The {kind} {name} is not being deleted.", "Nothing is to be done.")
    if now >= purge_at:
        raise Conflict(
            "grace-over",
            f"The time of grace of the {kind} {name} is over.",
            "Make a new one: what was stored of this one goes, or is gone.",
        )
