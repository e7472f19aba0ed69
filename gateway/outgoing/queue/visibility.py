"""Who may see what of a queue: the one place where a caller's limits become conditions on its tables."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.control.records import Actor


def own(actor: Actor, table: sa.Table) -> sa.ColumnElement[bool]:
    """The condition that keeps a query on `table` to what `actor` may see.

    A table that does not say where its rows belong is not seen by callers who are limited so.
    """
    limits = []
    for name, value in (
        ("tenant_id", actor.tenant_id),
        ("workspace_id", actor.workspace_id),
        ("environment", actor.environment),
    ):
        if value is not None:
            column = table.columns.get(name)
            limits.append(column == value if column is not None else sa.false())
    return sa.and_(sa.true(), *limits)
