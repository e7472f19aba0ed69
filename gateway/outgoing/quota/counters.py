"""Deciding a batch of charges over counters that are locked: exact, in order of arrival. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.outgoing.quota.values import Charge, QuotaRefused, Reached
from gateway.outgoing.quota.windows import Window, next_window, window_start

Key = tuple[str, str, str, Window, int]
"""scope, scope_id, metric, window, start of the window: the key of one counter."""

RELEASE_AHEAD_SECONDS = 90
"""How far ahead a per-minute limit may move a release; what does not fit before that is refused."""

THRESHOLDS = (50, 75, 90, 100)
"""The parts of a limit, in per cent, of which others are told when they are reached."""


def keys_of(charges: Iterable[Charge], now: float, release_from: float) -> set[Key]:
    """Every counter that `charges` may need: of longer windows the current one, of minutes all in reach.

    `release_from` is `now`, or the time for which the message was scheduled.
    """
    keys: set[Key] = set()
    for charge in charges:
        if charge.window == "minute":
            keys.update(_key(charge, start) for start in _minutes(release_from))
        else:
            keys.add(_key(charge, window_start(charge.window, now)))
    return keys


class Counters:
    """The counters of one transaction. `changed` are those to be written back.

    `reached` are the thresholds that the messages so far have come to; a counter that nobody else can change
    meanwhile passes each of them in exactly one transaction. Minutes have none: they only shape the release.
    """

    def __init__(self, values: Mapping[Key, int], now: float) -> None:
        self._values = dict(values)
        self._now = now
        self.changed: dict[Key, int] = {}
        self.reached: list[Reached] = []

    def value(self, key: Key) -> int:
        """What the counter stands at, with all that has been taken so far."""
        return self._values.get(key, 0)

    def take(self, charges: Iterable[Charge], first_time: int, release_from: float) -> float | None:
        """Take every charge of one message, or none of them.

        Returns when the message may be released (seconds since 1970) if a per-minute limit moves it,
        else None. `first_time` is the number of recipients that are new to the account. Raises
        QuotaRefused, naming the limit that opens last.
        """
        minute: list[tuple[Charge, int]] = []
        takes: list[tuple[Charge, Key, int]] = []
        refusals: list[QuotaRefused] = []
        for charge in charges:
            amount = first_time if charge.metric == "first_time_recipients" else charge.amount
            if amount > charge.limit:
                raise QuotaRefused(charge, amount, None)
            if charge.window == "minute":
                minute.append((charge, amount))
                continue
            key = _key(charge, window_start(charge.window, self._now))
            if self.value(key) + amount > charge.limit:
                refusals.append(QuotaRefused(charge, amount, next_window(charge.window, self._now)))
            takes.append((charge, key, amount))
        if refusals:
            raise max(refusals, key=lambda refusal: refusal.opens_at or 0.0)
        start = self._minute(minute, release_from)
        for charge, amount in minute:
            key = _key(charge, start)
            self._values[key] = self.changed[key] = self.value(key) + amount
        for charge, key, amount in takes:
            self._values[key] = self.changed[key] = value = self.value(key) + amount
            if value * 2 >= charge.limit:
                self._note(charge, key, value - amount, value)
        return float(start) if minute and start > release_from else None

    def _note(self, charge: Charge, key: Key, before: int, after: int) -> None:
        for percent in THRESHOLDS:
            if before * 100 < percent * charge.limit <= after * 100:
                self.reached.append(Reached(charge, percent, after, key[4]))

    def _minute(self, charges: list[tuple[Charge, int]], release_from: float) -> int:
        """The first minute in reach in which all per-minute charges fit. Raises QuotaRefused."""
        starts = _minutes(release_from)
        blocking: Charge | None = None
        for start in starts:
            blocking = next((c for c, n in charges if self.value(_key(c, start)) + n > c.limit), None)
            if blocking is None:
                return start
        assert blocking is not None
        raise QuotaRefused(blocking, blocking.amount, starts[-1] + 60 - RELEASE_AHEAD_SECONDS)


def _key(charge: Charge, start: int) -> Key:
    return (charge.scope, charge.scope_id, charge.metric, charge.window, start)


def _minutes(release_from: float) -> list[int]:
    first = window_start("minute", release_from)
    return [
        start for start in (first, first + 60, first + 120) if start - release_from <= RELEASE_AHEAD_SECONDS
    ]
