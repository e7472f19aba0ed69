"""Keys that wait under the trial zone, for operators who publish one fixed set of records.

They are made once and belong to the platform, under the trial zone's own domain, until one is handed to a
trial domain: then it is that tenant's, sealed to it, and nobody else ever has it. Their signatures are of the
trial zone (`d=`); what aligns with a trial name is the return path below it.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.keyrecords import key_text
from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import RecordView
from gateway.control.errors import Conflict
from gateway.control.installation.vault import Vault
from gateway.control.keys.material import record_name
from gateway.control.keys.model import KeyRow, published_keys
from gateway.control.keys.sealing import key_place
from gateway.control.settings import ControlSettings
from gateway.control.transaction import ControlChange


def take_from_pool(
    change: ControlChange, vault: Vault, settings: ControlSettings, domain: DomainRow
) -> KeyRow:
    """Hand the next waiting key to a trial domain, still pending. Raises Conflict when there is none."""
    key = next_waiting(change.session, settings.trial_zone)
    if key is None:
        raise _none_left(change.session, settings)
    sealer = vault.sealer(change, "dkim")
    private = sealer.open(key.sealed, **key_place(key.tenant_id, key.id))
    key.sealed = sealer.seal(private, **key_place(domain.tenant_id, key.id))
    key.tenant_id, key.domain_id = domain.tenant_id, domain.id
    change.session.flush()
    change.changed("key", key.id, tenant_id=key.tenant_id)
    return key


def next_waiting(session: Session, zone: str) -> KeyRow | None:
    """The key that is handed out next: one that DNS has shown.

    As long as no key under the zone was ever seen, any: whoever publishes them may do so where this machine
    cannot look, and a trial name is to be of use at once.
    """
    waiting = waiting_keys(zone).order_by(KeyRow.seen_at.is_(None), KeyRow.id).limit(1)
    key = session.scalars(waiting).one_or_none()
    return None if key is not None and key.seen_at is None and _was_seen(session, zone) else key


def is_in_pool(session: Session, key: KeyRow, zone: str) -> bool:
    """Whether a key waits under the trial zone, and is nobody's yet."""
    return (
        session.scalar(waiting_keys(zone).where(KeyRow.id == key.id).with_only_columns(KeyRow.id)) is not None
    )


def waiting_keys(zone: str) -> sa.Select[KeyRow]:
    """The keys under the trial zone that nobody has yet."""
    waiting = sa.select(KeyRow).join(DomainRow, DomainRow.id == KeyRow.domain_id)
    return waiting.where(
        KeyRow.domain == zone, KeyRow.state == "pending", DomainRow.kind == "platform", DomainRow.name == zone
    )


def _was_seen(session: Session, zone: str) -> bool:
    statement = sa.select(KeyRow.id).where(KeyRow.domain == zone, KeyRow.seen_at.is_not(None))
    return session.scalar(statement.limit(1)) is not None


def _none_left(session: Session, settings: ControlSettings) -> Conflict:
    """Why there is no key to hand out, and what helps."""
    zone = settings.trial_zone
    if session.scalar(waiting_keys(zone).with_only_columns(KeyRow.id).limit(1)) is not None:
        return Conflict(
            "trial-keys-unpublished",
            f"The DKIM keys that are left under {zone} are not seen in DNS yet.",
            "Publish what `gatepost platform records` lists; a minute later they can be used.",
        )
    if pool_size(session, zone) < settings.trial_selectors:
        return Conflict(
            "trial-keys-being-made",
            f"The DKIM keys under {zone} are still being made.",
            "`gatepost platform records` lists those there are; publish them, and try again.",
        )
    return Conflict(
        "trial-keys-used-up",
        f"Every DKIM key under {zone} belongs to a trial domain already.",
        "Raise [trial] selectors, then publish what `gatepost platform records` lists anew.",
    )


def pool_size(session: Session, zone: str) -> int:
    """How many keys there are under the trial zone, those of trial domains included."""
    statement = sa.select(sa.func.count()).where(KeyRow.domain == zone, KeyRow.state != "destroyed")
    return session.scalar(statement) or 0


def pool_records(session: Session, zone: str) -> list[RecordView]:
    """The records of the keys under the trial zone, those of trial domains included."""
    keys = session.scalars(published_keys().where(KeyRow.domain == zone).order_by(KeyRow.id))
    return [
        RecordView(record_name(key.selector, zone), "TXT", key_text(key), "dkim", publisher="platform")
        for key in keys
    ]
