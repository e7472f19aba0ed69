"""How many lasting things a tenant's own callers may make. The operator makes more where that is right.

Each of them costs everybody something: memory of every process, a look of the watch, a row in every list.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from gateway.control.errors import Conflict
from gateway.control.records import Actor


@dataclass(frozen=True, slots=True)
class Ceiling:
    """At most so many of `things`; `fix` says how to make room."""

    things: str
    most: int
    fix: str


WORKSPACES = Ceiling("workspaces", 200, "Delete one with `gatepost workspace delete`.")
SHARDS = Ceiling("shards", 200, "Retire one with `gatepost shard retire`.")
LISTS = Ceiling("lists", 200, "Delete one with `gatepost list delete`.")
LIST_ITEMS = Ceiling("items in all lists", 200_000, "Remove some with `gatepost list remove`.")
API_KEYS = Ceiling("API keys", 200, "Revoke one with `gatepost api-key revoke`.")
DOMAIN_KEYS = Ceiling("DKIM keys", 20, "One that is revoked or replaced makes room once its record is gone.")


def leave_room(
    session: Session,
    actor: Actor,
    ceiling: Ceiling,
    column: InstrumentedAttribute[str],
    *conditions: sa.ColumnElement[bool],
    coming: int = 1,
) -> None:
    """Refuse a tenant's caller more than the ceiling. `column` and `conditions` are of the rows that count.

    Raises Conflict.
    """
    if actor.is_operator:
        return
    counted = sa.select(column).where(*conditions).limit(ceiling.most + 1).subquery()
    there = session.scalar(sa.select(sa.func.count()).select_from(counted)) or 0
    if there + coming > ceiling.most:
        raise Conflict(
            "too-many",
            f"There are {there} {ceiling.things}, and {ceiling.most} is the most.",
            f"{ceiling.fix} The platform's operator can make more.",
        )
