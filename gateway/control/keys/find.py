"""Finding a key by id or by the name of its record."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.keys.model import KeyRow
from gateway.control.lookup import is_id, not_found
from gateway.control.records import Actor
from gateway.control.visibility import visible


def find_key(session: Session, actor: Actor, reference: str) -> KeyRow:
    """The key a caller means: by its id, or the newest at `selector._domainkey.domain`. Raises NotFound."""
    statement = sa.select(KeyRow).where(visible(actor, KeyRow))
    if is_id(reference):
        statement = statement.where(KeyRow.id == reference.lower())
    else:
        selector, _, domain = reference.lower().partition("._domainkey.")
        statement = statement.where(KeyRow.selector == selector, KeyRow.domain == domain)
    row = session.scalars(statement.order_by(KeyRow.id.desc()).limit(1)).one_or_none()
    if row is None:
        raise not_found("dkim-key", reference)
    return row
