"""What this process knows of the counters: for refusing early, never for accepting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.outgoing.quota.counters import Counters, Key, keys_of
from gateway.outgoing.quota.values import Charge, QuotaRefused

_MOST_KEYS = 100_000
_OLDEST_SECONDS = 32 * 86_400


class QuotaView:
    """Counter values as last seen by this process's store thread; they lag, and only ever upwards.

    The store thread writes, the event loop reads: single dictionary operations, no lock needed.
    """

    def __init__(self) -> None:
        self._values: dict[Key, int] = {}

    def note(self, values: Mapping[Key, int], now: float) -> None:
        """Remember counter values read or written in a transaction."""
        self._values.update(values)
        if len(self._values) > _MOST_KEYS:
            current = {k: v for k, v in self._values.items() if k[4] > now - _OLDEST_SECONDS}
            self._values = current if len(current) <= _MOST_KEYS // 2 else dict(values)

    def knows(self, key: Key) -> bool:
        """Whether the counter has been seen, so that its row is there."""
        return key in self._values

    def refusal(self, charges: Iterable[Charge], now: float) -> QuotaRefused | None:
        """The refusal that is certain already, if any. First-time recipients are not looked at."""
        checked = [charge for charge in charges if charge.metric != "first_time_recipients"]
        known = self._values
        values = {key: known[key] for key in keys_of(checked, now, now) if key in known}
        try:
            Counters(values, now).take(checked, 0, now)
        except QuotaRefused as refusal:
            return refusal
        return None
