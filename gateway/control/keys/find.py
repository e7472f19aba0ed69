"""Finding a key by id or by the name of its record, whose it is, and those that come before and after it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.ceilings import DOMAIN_KEYS, leave_room
from gateway.control.domains.find import find_domain
from gateway.control.domains.model import DomainRow
from gateway.control.errors import NotFound
from gateway.control.keys.model import KeyRow
from gateway.control.lookup import is_id, not_found
from gateway.control.records import Actor
from gateway.control.shards.model import ShardRow
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


def find_owner(session: Session, actor: Actor, reference: str) -> DomainRow | ShardRow:
    """Whose keys a caller means: a domain's, or else a shard's, by name or id.

    Raises NotFound, as for a domain, and Conflict where several tenants claim it.
    """
    try:
        return find_domain(session, actor, reference)
    except NotFound:
        which = ShardRow.id if is_id(reference) else ShardRow.name
        statement = sa.select(ShardRow).where(visible(actor, ShardRow), which == reference.lower())
        shard = session.scalars(statement).one_or_none()
        if shard is None:
            raise
        return shard


def room_for_key(session: Session, actor: Actor, owner: DomainRow | ShardRow) -> None:
    """Refuse a tenant's caller a key too many for a domain or a shard. Raises Conflict."""
    its = KeyRow.domain_id == owner.id if isinstance(owner, DomainRow) else KeyRow.shard_id == owner.id
    living = KeyRow.withdrawn_at.is_(None), KeyRow.state != "destroyed"
    leave_room(session, actor, DOMAIN_KEYS, KeyRow.id, its, *living)


def owner_of(session: Session, key: KeyRow) -> DomainRow | ShardRow:
    """Whose key it is."""
    if key.shard_id is not None:
        return session.get_one(ShardRow, key.shard_id)
    return session.get_one(DomainRow, key.domain_id)


def domain_above(session: Session, owner: DomainRow | ShardRow) -> DomainRow | None:
    """The domain itself, or the one that a shard lies under, if any."""
    if isinstance(owner, DomainRow):
        return owner
    return session.get_one(DomainRow, owner.domain_id) if owner.domain_id is not None else None


def keys_of(owner: DomainRow | ShardRow) -> sa.Select[KeyRow]:
    """The keys of a domain itself, or of a shard."""
    column = KeyRow.domain_id if isinstance(owner, DomainRow) else KeyRow.shard_id
    return sa.select(KeyRow).where(column == owner.id)


def signing_keys(session: Session, owner: DomainRow | ShardRow) -> list[KeyRow]:
    """The active ones, RSA first: not every verifier knows another kind."""
    active = keys_of(owner).where(KeyRow.state == "active")
    return list(session.scalars(active.order_by(KeyRow.algorithm.desc(), KeyRow.id)))


def siblings(key: KeyRow) -> sa.Select[KeyRow]:
    """The other keys of the same owner and kind, the oldest first."""
    owner = KeyRow.domain_id == key.domain_id if key.shard_id is None else KeyRow.shard_id == key.shard_id
    others = sa.select(KeyRow).where(owner, KeyRow.algorithm == key.algorithm, KeyRow.id != key.id)
    return others.order_by(KeyRow.id)


def waiting_after(session: Session, key: KeyRow) -> KeyRow | None:
    """The one that will follow a key as soon as it is seen."""
    return session.scalars(siblings(key).where(KeyRow.state == "pending").limit(1)).one_or_none()
