"""Rotating the master key: everything sealed is sealed again under the new one, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.control.errors import Forbidden, Unavailable
from gateway.control.installation.model import MasterKeyRow
from gateway.control.installation.service import reseal_root
from gateway.control.installation.vault import note_master_key
from gateway.control.keys.model import KeyRow
from gateway.control.keys.sealing import key_place
from gateway.control.records import Actor
from gateway.control.shards.model import ShardRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.webhooks.model import WebhookSecretRow
from gateway.control.webhooks.secret import PURPOSE, secret_place
from gateway.system.secrets import MasterKey, SecretError


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did. `key_ids`: the live keys now, the sealing one first."""

    key_ids: tuple[str, ...]
    resealed: int


class MasterKeyService:
    """The operator's service for the master key.

    One node: `rotate`, and once every process and backup is done with the old key, `finish`. Several
    nodes have a copy of the file each: put a file with the new key before the old one on all of them,
    then `rotate`, then `finish` on each.
    """

    def __init__(self, writes: ControlWrites, master_key: MasterKey) -> None:
        self._writes = writes
        self._master_key = master_key

    def rotate(self, actor: Actor) -> Rotation:
        """Seal everything under a new key: a fresh one, or the first of the file if that is not in use yet.

        Running processes read the new key from the file when they meet it. A crash in between leaves both
        keys in the file and everything readable; run it again. Raises Forbidden, Unavailable.
        """
        _operator_only(actor)
        try:
            self._master_key.reload()
            new = self._master_key if self._is_prepared() else self._master_key.add_new()
            with self._writes.change(actor) as change:
                count = _reseal(change, new)
                note_master_key(change, new)
                change.session.execute(sa.delete(MasterKeyRow).where(MasterKeyRow.key_id != new.key_id))
                change.audit(
                    "master-key.rotate",
                    "platform",
                    new.key_id,
                    tenant_id=None,
                    before={"key_ids": list(new.key_ids[1:])},
                    after={"key_id": new.key_id, "resealed": count},
                )
            self._master_key.reload()
        except SecretError as error:
            raise Unavailable("master-key", str(error), "Nothing was changed in the database.") from error
        return Rotation(new.key_ids, count)

    def finish(self, actor: Actor) -> Rotation:
        """Remove the old keys from the file: backups from before the rotation no longer open with it."""
        _operator_only(actor)
        try:
            self._master_key.reload()
            if not self._is_in_use():
                raise Unavailable(
                    "not-rotated",
                    "Not everything is sealed under the first key of the file.",
                    "Run `gatepost master-key rotate` first.",
                )
            last = self._master_key.without_old()
            self._master_key.reload()
        except SecretError as error:
            raise Unavailable("master-key", str(error), "Nothing was changed.") from error
        return Rotation(last.key_ids, 0)

    def _known(self) -> set[str]:
        with self._writes.view() as session:
            return set(session.scalars(sa.select(MasterKeyRow.key_id)))

    def _is_prepared(self) -> bool:
        """Whether the file has a new key before the one in use (put there by hand, or before a crash)."""
        known = self._known()
        return len(self._master_key.key_ids) > 1 and known != {self._master_key.key_id}

    def _is_in_use(self) -> bool:
        return self._known() == {self._master_key.key_id}


def _reseal(change: ControlChange, master_key: MasterKey) -> int:
    """Seal anew whatever is not under the first key; returns how many values."""
    count = int(reseal_root(change.session, master_key)) + _reseal_webhooks(change, master_key)
    dkim, route = master_key.sealer("dkim"), master_key.sealer("route")
    for key in _sealed_keys(change):
        if not dkim.is_current(key.sealed):
            place = key_place(key.tenant_id, key.id)
            key.sealed = dkim.seal(dkim.open(key.sealed, **place), **place)
            change.changed("key", key.id, tenant_id=key.tenant_id)
            count += 1
    for shard in change.session.scalars(sa.select(ShardRow).where(ShardRow.route_sealed.is_not(None))):
        if shard.route_sealed is not None and not route.is_current(shard.route_sealed):
            place = {"tenant": shard.tenant_id, "table": "shards", "row": shard.id, "column": "route_sealed"}
            shard.route_sealed = route.seal(route.open(shard.route_sealed, **place), **place)
            change.changed("shard", shard.id, tenant_id=shard.tenant_id)
            count += 1
    change.session.flush()
    return count


def _reseal_webhooks(change: ControlChange, master_key: MasterKey) -> int:
    sealer, count = master_key.sealer(PURPOSE), 0
    for secret in change.session.scalars(sa.select(WebhookSecretRow)):
        if not sealer.is_current(secret.sealed):
            place = secret_place(secret.tenant_id, secret.id)
            secret.sealed = sealer.seal(sealer.open(secret.sealed, **place), **place)
            change.changed("webhook", secret.webhook_id, tenant_id=secret.tenant_id)
            count += 1
    return count


def _sealed_keys(change: ControlChange) -> Iterator[KeyRow]:
    yield from change.session.scalars(sa.select(KeyRow).where(KeyRow.state != "destroyed"))


def _operator_only(actor: Actor) -> None:
    if not actor.is_operator:
        raise Forbidden("operator-only", "The master key is the operator's.", "Ask the platform's operator.")
