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
    """Hand the next waiting key to a trial domain, still pending. Raises Conflict when none is left."""
    zone = settings.trial_zone
    key = change.session.scalars(waiting_keys(zone).order_by(KeyRow.id).limit(1)).one_or_none()
    if key is None and pool_size(change.session, zone) < settings.trial_selectors:
        raise Conflict(
            "trial-keys-being-made",
            f"The DKIM keys under {zone} are still being made.",
            "`gatepost platform records` lists those there are; publish them, and try again.",
        )
    if key is None:
        raise Conflict(
            "trial-keys-used-up",
            f"Every DKIM key under {zone} belongs to a trial domain already.",
            "Raise [trial] selectors, then publish what `gatepost platform records` lists anew.",
        )
    sealer = vault.sealer(change, "dkim")
    private = sealer.open(key.sealed, **key_place(key.tenant_id, key.id))
    key.sealed = sealer.seal(private, **key_place(domain.tenant_id, key.id))
    key.tenant_id, key.domain_id = domain.tenant_id, domain.id
    change.session.flush()
    change.changed("key", key.id, tenant_id=key.tenant_id)
    return key


def waiting_keys(zone: str) -> sa.Select[KeyRow]:
    """The keys under the trial zone that nobody has yet."""
    waiting = sa.select(KeyRow).join(DomainRow, DomainRow.id == KeyRow.domain_id)
    return waiting.where(
        KeyRow.domain == zone, KeyRow.state == "pending", DomainRow.kind == "platform", DomainRow.name == zone
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
