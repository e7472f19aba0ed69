"""What the installation remembers of the records it published."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from gateway.control.domains.publishing.difference import seconds_to_wait
from gateway.control.domains.publishing.tables import published_record
from gateway.control.domains.publishing.values import Change, Kept, Outcome, RecordKey, Values, Wanted

_AT_ONCE = 400
_columns = published_record.c


def kept_of(
    connection: Connection, owners: Collection[str] | None, wanted: Iterable[Wanted] = ()
) -> dict[RecordKey, Kept]:
    """What is remembered of these owners (None: all), and of what is wanted, whoever had it before."""
    if owners is None:
        return _read(connection, sa.true())
    found: dict[RecordKey, Kept] = {}
    for part in _parts(sorted(owners)):
        found |= _read(connection, _columns.owner.in_(part))
    names = sorted({one.key.name for one in wanted} - {key.name for key in found})
    keys = {one.key for one in wanted}
    for part in _parts(names):
        rows = _read(connection, _columns.name.in_(part))
        found |= {key: row for key, row in rows.items() if key in keys}
    return found


def due_owners(connection: Connection, now: float) -> set[str]:
    """Whose changes are to be tried again."""
    due = sa.select(_columns.owner).where(
        sa.text("next_attempt_at IS NOT NULL"), _columns.next_attempt_at <= now
    )
    return set(connection.scalars(due.distinct()))


def waiting(connection: Connection) -> list[Kept]:
    """What is not as it is wanted, by name."""
    where = sa.or_(
        _columns.wanted.is_distinct_from(_columns.published), sa.text("next_attempt_at IS NOT NULL")
    )
    return sorted(_read(connection, where).values(), key=lambda row: row.key)


def intend(connection: Connection, changes: Iterable[Change], now: float) -> None:
    """Write down what will be tried: should the program end on the way, it knows its own records again."""
    for change in changes:
        values = {
            "owner": change.owner,
            "tenant_id": change.tenant_id,
            "wanted": _text(change.after),
            "published": _text(change.before),
        }
        if _update(connection, change.key, values) == 0:
            row = {**change.key._asdict(), **values, "changed_at": now, "attempts": 0}
            connection.execute(sa.insert(published_record).values(row))


def settle(connection: Connection, outcomes: Iterable[Outcome], now: float) -> None:
    """Write down how changes went."""
    for outcome in outcomes:
        change = outcome.change
        if outcome.error is not None:
            _put_off(connection, change.key, outcome.error, now)
        elif change.after is None:
            connection.execute(sa.delete(published_record).where(*_is(change.key)))
        else:
            done = {"published": _text(change.after), "published_at": now, "changed_at": now}
            _update(connection, change.key, {**done, "attempts": 0, "next_attempt_at": None, "error": None})


def observe(connection: Connection, wish: Wanted | Kept, found: Values | None, now: float) -> None:
    """Write down what stands at a name of ours."""
    values = {"published": _text(found), "changed_at": now}
    if _update(connection, wish.key, values) == 0 and isinstance(wish, Wanted):
        row = {"owner": wish.owner, "tenant_id": wish.tenant_id, "wanted": _text(wish.values), "attempts": 0}
        connection.execute(sa.insert(published_record).values(**wish.key._asdict(), **values, **row))


def forget(connection: Connection, key: RecordKey) -> None:
    """What stands there is not ours any more."""
    connection.execute(sa.delete(published_record).where(*_is(key)))


def _put_off(connection: Connection, key: RecordKey, error: str, now: float) -> None:
    attempts = connection.scalar(sa.select(_columns.attempts).where(*_is(key))) or 0
    again = now + seconds_to_wait(attempts + 1)
    _update(connection, key, {"attempts": attempts + 1, "next_attempt_at": again, "error": error})


def _update(connection: Connection, key: RecordKey, values: dict[str, Any]) -> int:
    return connection.execute(sa.update(published_record).where(*_is(key)).values(values)).rowcount


def _is(key: RecordKey) -> tuple[sa.ColumnElement[bool], ...]:
    return _columns.name == key.name, _columns.type == key.type


def _read(connection: Connection, where: sa.ColumnElement[bool]) -> dict[RecordKey, Kept]:
    rows = connection.execute(sa.select(published_record).where(where))
    return {RecordKey(row.name, row.type): _kept(row) for row in rows}


def _kept(row: Any) -> Kept:
    return Kept(
        key=RecordKey(row.name, row.type),
        owner=row.owner,
        tenant_id=row.tenant_id,
        wanted=_values(row.wanted),
        published=_values(row.published),
        changed_at=row.changed_at,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        error=row.error,
    )


def _text(values: Values | None) -> str | None:
    return None if values is None else json.dumps(values)


def _values(text: str | None) -> Values | None:
    return None if text is None else tuple(json.loads(text))


def _parts(words: list[str]) -> Iterable[list[str]]:
    return (words[start : start + _AT_ONCE] for start in range(0, len(words), _AT_ONCE))
