"""The caller's own ids of things: kept, compared, never used twice for one kind of one owner."""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.base import Base
from gateway.control.errors import Conflict, Invalid
from gateway.control.lookup import shown

R = TypeVar("R", bound=Base)

_LONGEST = 200


def set_client_id(session: Session, row: Any, client_id: str | None) -> None:
    """Give a row the caller's id; None leaves the one it has, an empty text takes it away.

    It must be the only one among what the row's owner has of its kind. Raises Invalid, Conflict.
    """
    if client_id is None:
        return
    word = client_id.strip()
    if len(word) > _LONGEST or not word.isprintable() or (client_id and not word):
        raise Invalid(
            "bad-client-id",
            f"{shown(client_id)} cannot be a client_id.",
            f"Use at most {_LONGEST} printable characters.",
        )
    row.client_id = word or None
    table = type(row)
    taken = sa.select(table.id).where(table.client_id == word, table.id != row.id, _of_same_owner(row))
    with session.no_autoflush:
        if word and session.scalar(taken.limit(1)) is not None:
            raise Conflict(
                "client-id-taken",
                f"Another one has the client_id {shown(word)} already.",
                "Look for it with the filter client_id, or give another client_id.",
            )


def _of_same_owner(row: Any) -> sa.ColumnElement[bool]:
    """The things of the row's tenant, or the shared ones: what others call theirs is not told."""
    table = type(row)
    for name in ("owner", "tenant_id"):
        if hasattr(table, name):
            same: sa.ColumnElement[bool] = getattr(table, name) == getattr(row, name)
            return same
    return sa.true()
