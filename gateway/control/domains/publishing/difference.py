"""From what should stand in DNS and what is known of it to the changes that are to be made. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway.control.domains.publishing.values import Change, Kept, RecordKey, Values, Wanted

_FIRST_WAIT_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 3_600.0


def differences(
    wanted: Iterable[Wanted], kept: Mapping[RecordKey, Kept], now: float, *, at_once: bool = False
) -> Iterator[Change]:
    """Withdrawals first, then what is to be put. `kept`: all that is remembered of the same owners.

    What failed waits for its time, unless something else is wanted by now, or all is to be tried `at_once`.
    """
    wishes = {one.key: one for one in wanted}
    for key, row in kept.items():
        if key not in wishes and (at_once or _is_due(row, None, now)):
            yield Change(key, row.owner, row.tenant_id, row.published, None, _contents(row))
    for key, wish in wishes.items():
        known = kept.get(key)
        if known is None:
            yield Change(key, wish.owner, wish.tenant_id, None, wish.values)
        elif known.published != wish.values and (at_once or _is_due(known, wish.values, now)):
            yield Change(key, wish.owner, wish.tenant_id, known.published, wish.values, _contents(known))


def seconds_to_wait(attempts: int) -> float:
    """How long after so many failed attempts to wait for the next."""
    return float(min(_FIRST_WAIT_SECONDS * 2.0 ** min(attempts - 1, 20), _LONGEST_WAIT_SECONDS))


def _is_due(row: Kept, values: Values | None, now: float) -> bool:
    return row.wanted != values or row.next_attempt_at is None or row.next_attempt_at <= now


def _contents(row: Kept) -> tuple[Values, ...]:
    return tuple({values for values in (row.wanted, row.published) if values is not None})
