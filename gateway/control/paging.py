"""Lists a page at a time: filtered and sorted by named fields, continued by an opaque cursor.

A cursor holds the place of the last row shown (its sort value and id), so that pages neither repeat nor
skip rows that were there all the time, however many come or go meanwhile.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from gateway.control.base import Base
from gateway.control.errors import Invalid
from gateway.control.lookup import shown
from gateway.control.records import Actor

LONGEST_PAGE = 500
_METADATA = "metadata."
_IDS_AT_ONCE = 1_000

R = TypeVar("R", bound=Base)
V = TypeVar("V")

Filter = Callable[[Session, Actor, str], sa.ColumnElement[bool]]
"""From a caller's word to a condition; may raise Invalid or NotFound."""


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a caller asks for: at most `limit` rows after `cursor`, by `sort` ("-name": descending)."""

    limit: int = 100
    cursor: str | None = None
    sort: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page(Generic[V]):
    """Some of a list; `cursor` continues it, None: that was all."""

    items: tuple[V, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Listing(Generic[R, V]):
    """How a table is listed. `sorts` must be columns without NULL; the first is the default.

    `views` shows rows; `filters` are by a field's name, a column meaning equality.
    """

    row: type[R]
    views: Callable[[Session, Sequence[R]], Sequence[V]]
    sorts: Mapping[str, InstrumentedAttribute[Any]]
    filters: Mapping[str, InstrumentedAttribute[Any] | Filter] = field(default_factory=dict)
    ident: str = "id"


def one_by_one(view: Callable[[Session, R], V]) -> Callable[[Session, Sequence[R]], Sequence[V]]:
    """A view of one row, for `Listing.views`."""
    return lambda session, rows: [view(session, row) for row in rows]


def in_parts(
    session: Session, rows: Sequence[R], views: Callable[[Session, Sequence[R]], Sequence[V]]
) -> tuple[V, ...]:
    """The views of any number of rows: a statement takes only so many ids."""
    parts = (rows[start : start + _IDS_AT_ONCE] for start in range(0, len(rows), _IDS_AT_ONCE))
    return tuple(view for part in parts for view in views(session, part))


def read_page(
    session: Session,
    actor: Actor,
    listing: Listing[R, V],
    query: PageQuery,
    *conditions: sa.ColumnElement[bool],
) -> Page[V]:
    """One page of the rows that meet the `conditions` (visibility among them). Raises Invalid, NotFound."""
    if not 1 <= query.limit <= LONGEST_PAGE:
        raise Invalid("bad-limit", f"{query.limit} is no page size.", f"Give a limit of 1 to {LONGEST_PAGE}.")
    name, descending = _sort(listing, query.sort)
    column, ident = listing.sorts[name], getattr(listing.row, listing.ident)
    statement = sa.select(listing.row).where(*conditions)
    for key, word in query.filters.items():
        _refuse_nul(key, word)
        statement = statement.where(_condition(session, actor, listing, key, word))
    if query.cursor is not None:
        place = sa.tuple_(*map(sa.literal, _read_cursor(query.cursor, query.sort, column)))
        here = sa.tuple_(column, ident)
        statement = statement.where(here < place if descending else here > place)
    order = [one.desc() if descending else one.asc() for one in (column, ident)]
    rows = session.scalars(statement.order_by(*order).limit(query.limit + 1)).all()
    shown_rows = rows[: query.limit]
    cursor = None
    if len(rows) > query.limit:
        last = shown_rows[-1]
        cursor = _write_cursor(query.sort, getattr(last, column.key), getattr(last, listing.ident))
    return Page(tuple(listing.views(session, shown_rows)), cursor)


def _sort(listing: Listing[R, V], word: str | None) -> tuple[str, bool]:
    name = (word or next(iter(listing.sorts))).removeprefix("-")
    if name not in listing.sorts:
        raise Invalid(
            "bad-sort", f"{shown(name)} is no field to sort by.", f"Sort by {', '.join(listing.sorts)}."
        )
    return name, (word or "").startswith("-")


def _refuse_nul(key: str, word: str) -> None:
    """PostgreSQL takes no NUL in any text, not even to say that it is nowhere."""
    if "\0" in key + word:
        raise Invalid(
            "bad-filter", f"The filter {shown(key)} has a NUL character.", "Filter by a text without it."
        )


def _condition(
    session: Session, actor: Actor, listing: Listing[R, V], key: str, word: str
) -> sa.ColumnElement[bool]:
    metadata: Any = getattr(listing.row, "metadata_", None)
    if key.startswith(_METADATA) and metadata is not None:
        name = key.removeprefix(_METADATA)
        if '"' in name:
            # A path into JSON, as SQLite reads it, quotes names and has no way to write a quote.
            raise Invalid("bad-filter", f"{shown(name)} has a quote.", "Filter by a key without quotes.")
        return cast("sa.ColumnElement[bool]", metadata[name].as_string() == word)
    found = listing.filters.get(key)
    if found is None:
        known = [*listing.filters, *(["metadata.KEY"] if metadata is not None else [])]
        raise Invalid(
            "bad-filter", f"{shown(key)} is no field to filter by.", f"Filter by {', '.join(known)}."
        )
    if isinstance(found, InstrumentedAttribute):
        return _equals(found, key, word)
    return found(session, actor, word)


def _equals(column: InstrumentedAttribute[Any], key: str, word: str) -> sa.ColumnElement[bool]:
    if not isinstance(column.type, sa.Boolean):
        return column == word
    if word not in ("true", "false"):
        raise Invalid("bad-filter", f"{shown(word)} is no value for {key}.", "Give true or false.")
    return column.is_(word == "true")


def _write_cursor(sort: str | None, value: object, ident: str) -> str:
    text = json.dumps([sort, value, ident], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, sort: str | None, column: InstrumentedAttribute[Any]) -> tuple[Any, str]:
    try:
        octets = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        known, value, ident = json.loads(octets)
    except (ValueError, binascii.Error, TypeError):
        known, value, ident = None, None, None
    if known != sort or not _fits(value, column) or not isinstance(ident, str) or "\0" in ident:
        raise Invalid(
            "bad-cursor",
            "The cursor is not one of this list in this order.",
            "Start without a cursor and follow the one each page gives.",
        )
    return value, ident


def _fits(value: object, column: InstrumentedAttribute[Any]) -> bool:
    """Whether the database can compare a value of a cursor with this column."""
    if column.type.python_type is str:
        return isinstance(value, str) and "\0" not in value
    return type(value) in (int, float) and abs(cast("float", value)) < 1 << 63
