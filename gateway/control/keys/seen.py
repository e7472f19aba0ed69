"""What DNS has shown of keys, and what follows: a key signs once verifiers can find it.

The first key of a domain signs at once: its mail waits for the domain itself. A later one waits until its
record is seen, if DNS has shown any key of the domain or has proved the domain: then somebody verifies, and
must be able to go on. Where no key was ever seen (a domain that an operator vouched for, without DNS),
waiting would protect nothing and never end, so there a later key signs at once too.

A shard's key always waits: it signs beside the domain's, which is enough until then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import RecordView
from gateway.control.keys.material import record_name
from gateway.control.keys.model import KeyRow, SlotRow
from gateway.control.shards.model import ShardRow


def must_be_seen_first(session: Session, owner: DomainRow | ShardRow) -> bool:
    """Whether a new key of a domain or shard waits for its record."""
    if isinstance(owner, ShardRow) or (owner.kind == "custom" and owner.verified_by == "dns"):
        return True
    shown = sa.select(KeyRow.id).where(KeyRow.domain_id == owner.id, KeyRow.seen_at.is_not(None))
    return session.scalar(shown.limit(1)) is not None


def takes_over(ttl: float) -> sa.ColumnElement[bool]:
    """Of a KeyRow: whether another key's record stood at its selector shortly before it was made.

    `ttl`: seconds, for which resolvers may hold that record.
    """
    other = aliased(KeyRow)
    return sa.exists().where(
        other.domain_id == KeyRow.domain_id,
        other.selector == KeyRow.selector,
        other.id != KeyRow.id,
        other.withdrawn_at > KeyRow.created_at - ttl,
    )


def keys_seen(
    keys: Iterable[KeyRow], slots: Sequence[SlotRow], records: Collection[RecordView]
) -> list[KeyRow]:
    """The keys that these records, as DNS showed them, let a verifier find."""
    valid = {(one.name, one.type): one for one in records if one.purpose == "dkim" and one.state == "valid"}
    selectors = {slot.selector for slot in slots}
    found = []
    for key in keys:
        name = record_name(key.selector, key.domain)
        if key.selector in selectors and key.shard_id is None:
            alias = valid.get((name, "CNAME"))
            shown = alias is not None and (alias.value, "TXT") in valid
        else:
            shown = (name, "TXT") in valid
        if shown:
            found.append(key)
    return found
