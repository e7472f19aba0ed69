"""Finding a domain by name or id, where several tenants may have claimed the name."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.model import HELD, DomainRow
from gateway.control.errors import Conflict
from gateway.control.lookup import is_id, not_found
from gateway.control.records import Actor
from gateway.control.visibility import visible
from gateway.mail.idna import DomainError, to_ascii


def find_domain(session: Session, actor: Actor, reference: str) -> DomainRow:
    """The domain that a caller means: the one held under that name, else the only claim on it.

    Raises NotFound, Conflict where several tenants claim the name and none holds it.
    """
    condition = DomainRow.id == reference.lower() if is_id(reference) else DomainRow.name == _ascii(reference)
    statement = sa.select(DomainRow).where(condition, visible(actor, DomainRow))
    rows = session.scalars(statement.order_by(DomainRow.id)).all()
    held = [row for row in rows if row.state in HELD]
    if held:
        return held[0]
    if not rows:
        raise not_found("domain", reference)
    # A claim that has ended is meant by its name only where there is no other.
    rows = [row for row in rows if row.purge_at is None and row.state != "expired"] or rows
    if len(rows) > 1:
        raise Conflict(
            "ambiguous",
            f"{len(rows)} tenants claim {rows[0].name}, and none has proved it.",
            "Use the domain's id instead; `gatepost domain list` shows it.",
        )
    return rows[0]


def holder(session: Session, name: str) -> DomainRow | None:
    """The domain that is held under this very name, by whomever."""
    return session.scalars(
        sa.select(DomainRow).where(DomainRow.name == name, DomainRow.state.in_(HELD))
    ).one_or_none()


def _ascii(name: str) -> str:
    try:
        return to_ascii(name)
    except DomainError:
        return name
