"""Filling the pool of keys under the trial zone."""

from __future__ import annotations

import base64

import sqlalchemy as sa
import structlog

from gateway.control.domains.model import DomainRow
from gateway.control.keys.material import KeyMaterial
from gateway.control.keys.pool import pool_size
from gateway.control.keys.service import KeyService
from gateway.control.keys.view import key_view
from gateway.control.recording import record
from gateway.control.records import Actor
from gateway.control.settings import ControlSettings
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange, ControlWrites

_ACTOR = Actor(kind="system", id="trial-keys")
_AT_ONCE = 10
"""Keys a transaction: a tenth of a second of a processor each, made before it."""


def fill_pool(writes: ControlWrites, keys: KeyService, settings: ControlSettings) -> int:
    """Make the keys that the configuration wants under the trial zone and that are not there; how many.

    Raises DatabaseAway.
    """
    with writes.view() as session:
        before = pool_size(session, settings.trial_zone) if settings.trial_selectors else 0
    made = 0
    while missing := _missing(writes, settings):
        material = [keys.make() for _ in range(min(missing, _AT_ONCE))]
        with writes.change(_ACTOR) as change:
            made += _add(change, keys, settings, material)
    if made and before:
        # The set is another than the one that was published.
        structlog.get_logger("gateway.control.keys").warning(
            "trial_keys_to_publish", made=made, zone=settings.trial_zone, fix="gatepost platform records"
        )
    return made


def _missing(writes: ControlWrites, settings: ControlSettings) -> int:
    if not settings.trial_selectors:
        return 0
    with writes.view() as session:
        return max(0, settings.trial_selectors - pool_size(session, settings.trial_zone))


def _add(
    change: ControlChange, keys: KeyService, settings: ControlSettings, material: list[KeyMaterial]
) -> int:
    """Add keys as far as there is room: another node may have been faster."""
    zone = _zone(change, settings)
    room = settings.trial_selectors - pool_size(change.session, settings.trial_zone)
    for one in material[: max(0, room)]:
        key = keys.add(change, one, zone, state="pending")
        record(change, "dkim-key.pool", "key", None, key_view(key))
    return len(material[: max(0, room)])


def _zone(change: ControlChange, settings: ControlSettings) -> DomainRow:
    """The trial zone as a domain of the platform's, made at first need; it has no mail of its own."""
    statement = sa.select(DomainRow).where(
        DomainRow.kind == "platform", DomainRow.name == settings.trial_zone
    )
    row = change.session.scalars(statement).one_or_none()
    if row is not None:
        return row
    owner = change.session.scalars(sa.select(TenantRow).where(TenantRow.is_platform)).one()
    row = DomainRow(
        id=change.ids.uuid(),
        name=settings.trial_zone,
        tenant_id=owner.id,
        environment="production",
        kind="platform",
        state="active",
        mode="send",
        challenge=base64.b32encode(change.ids.raw()).decode().rstrip("=").lower(),
        verified_at=change.now,
        verified_by="platform",
        metadata_={},
        created_at=change.now,
        updated_at=change.now,
    )
    change.add(row)
    change.changed("domain", row.id, tenant_id=row.tenant_id)
    return row
