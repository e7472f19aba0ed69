"""DKIM keys: made, imported, rotated, revoked. The private half goes in sealed and never comes out here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, TypeGuard

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.clientids import set_client_id
from gateway.control.domains.find import find_domain
from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import RecordView
from gateway.control.errors import Conflict
from gateway.control.installation.vault import Vault
from gateway.control.keys.find import (
    domain_above,
    find_key,
    find_owner,
    keys_of,
    owner_of,
    room_for_key,
    siblings,
    signing_keys,
    waiting_after,
)
from gateway.control.keys.material import KeyMaker, KeyMaterial, check_kind, import_key
from gateway.control.keys.model import KeyRow, SlotRow, published_keys
from gateway.control.keys.pool import is_in_pool, next_waiting, take_from_pool
from gateway.control.keys.ready import ReadyKeys
from gateway.control.keys.sealing import key_place
from gateway.control.keys.seen import keys_seen, must_be_seen_first, takes_over
from gateway.control.keys.selectors import (
    clean_selector,
    dated_selector,
    free_slot,
    slots_of,
    taken_selectors,
)
from gateway.control.keys.view import LISTING, KeyView, key_name, key_view
from gateway.control.lookup import clean_metadata
from gateway.control.paging import Page, PageQuery, read_page
from gateway.control.recording import payload, record
from gateway.control.records import Actor
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible

_DEFAULT_BITS = 2048


class KeyService:
    """Rules and transactions of keys.

    A key signs once it is active. The first key of a domain is active at once, a later one waits as
    "pending" until its record is seen in DNS (`gateway.control.keys.seen` says when), or until `activate`.
    The one it follows is then "retiring": still published, no longer used.
    """

    def __init__(
        self, writes: ControlWrites, vault: Vault, make_key: KeyMaker, settings: ControlSettings
    ) -> None:
        self._writes = writes
        self._vault = vault
        self._make_key = make_key
        self._settings = settings

    def create(
        self, actor: Actor, domain: str, *, algorithm: str = "rsa", bits: int = _DEFAULT_BITS
    ) -> KeyView:
        """Make a key for a domain (its name or id). Raises NotFound, Invalid."""
        with self._writes.view() as session:
            # Before the work: who names nothing costs nothing.
            room_for_key(session, actor, find_domain(session, actor, domain))
        return self._add_made(actor, domain, self.make(algorithm, bits), "dkim-key.create", None)

    def import_pem(self, actor: Actor, domain: str, pem: bytes, *, selector: str | None = None) -> KeyView:
        """Take an existing private key (PEM, no password), under its published selector if one is given."""
        return self._add_made(actor, domain, import_key(pem), "dkim-key.import", selector)

    def rotate(self, actor: Actor, reference: str) -> tuple[KeyView, ...]:
        """Make a successor for each active key of a domain or a shard, of the same kind.

        One that waits already is that successor, and is returned. Raises NotFound, Conflict.
        """
        with self._writes.view() as session:
            owner = find_owner(session, actor, reference)
            owner_id, pooled, old = owner.id, self._is_pooled(owner), signing_keys(session, owner)
            kinds = [(one.algorithm, one.bits) for one in old if waiting_after(session, one) is None]
        if not old and not pooled:
            raise Conflict(
                "no-active-key",
                f"{owner.name} has no active key to follow.",
                f"`gatepost dkim-key create {owner.name}` makes one.",
            )
        ready = ReadyKeys([] if pooled else [self.make(*kind) for kind in kinds], self._make_key)
        with self._writes.change(actor) as change:
            owner = find_owner(change.session, actor, owner_id)
            views = [self._follow(change, owner, key, ready) for key in signing_keys(change.session, owner)]
            if not views and self._is_pooled(owner):
                views = [self._hand_over(change, owner, "dkim-key.rotate")]
            change.result = {"items": [payload(view) for view in views], "next_cursor": None}
            return tuple(views)

    def succeed(self, actor: Actor, key_id: str) -> KeyView:
        """Make a successor for one active key. Raises NotFound, Conflict (it signs no more, no selector)."""
        with self._writes.view() as session:
            key = find_key(session, actor, key_id)
            pooled = self._is_pooled(owner_of(session, key))
            kind = check_kind(key.algorithm, key.bits), key.bits
        ready = ReadyKeys([] if pooled else [self._make_key(*kind)], self._make_key)
        with self._writes.change(actor) as change:
            key = find_key(change.session, actor, key_id)
            if key.state != "active" or _next_of(change.session, key) is not None:
                raise Conflict("has-successor", f"{key_name(key)} is followed already.", "Nothing is to do.")
            return self._follow(change, owner_of(change.session, key), key, ready)

    def withdraw(self, change: ControlChange, key: KeyRow) -> None:
        """Take a key's record back: nothing that it signed is on its way any more."""
        before = key_view(key)
        key.withdrawn_at = change.now
        _audited(change, "dkim-key.withdraw", before, key)

    def destroy(self, change: ControlChange, key: KeyRow) -> None:
        """Overwrite a key's private half: nobody ever signs with it again."""
        before = key_view(key)
        key.sealed, key.state = b"", "destroyed"
        key.withdrawn_at = key.withdrawn_at or change.now
        key.ended_at = change.now
        _audited(change, "dkim-key.destroy", before, key)

    def activate(self, actor: Actor, reference: str) -> KeyView:
        """Sign with a pending key from now on: the caller says that its record is published."""
        with self._writes.change(actor) as change:
            row = find_key(change.session, actor, reference)
            if row.state != "pending":
                raise Conflict(
                    "not-pending", f"The key {key_name(row)} is {row.state}.", "Only pending keys wait."
                )
            before = key_view(row)
            self.put_in_force(change, row)
            return _audited(change, "dkim-key.activate", before, row)

    def revoke(self, actor: Actor, reference: str) -> KeyView:
        """Never sign with a key again; publish its record with an empty p=. Queued mail is signed anew.

        Where the platform publishes for the domain, a successor is made for the last one that signed: it
        does so as soon as it is seen, and mail waits meanwhile. A trial domain takes the next fixed key.
        """
        with self._writes.view() as session:
            material = self._material_after(session, find_key(session, actor, reference))
        with self._writes.change(actor) as change:
            row = find_key(change.session, actor, reference)
            if row.state in ("revoked", "destroyed"):
                raise Conflict(
                    "already-revoked", f"The key {key_name(row)} is {row.state}.", "Nothing is to be done."
                )
            before = key_view(row)
            row.state, row.ended_at = "revoked", change.now
            view = _audited(change, "dkim-key.revoke", before, row)
            owner = owner_of(change.session, row)
            if material is not None:
                self._introduce(change, owner, material, "dkim-key.create", None)
            elif self._is_pooled(owner) and self._pool_follows(change.session, row):
                self._hand_over(change, owner, "dkim-key.create")
            change.result = payload(view)
            return view

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> KeyView:
        """Change the caller's own id and pairs. Raises NotFound, Invalid, Conflict."""
        with self._writes.change(actor) as change:
            row = find_key(change.session, actor, reference)
            before = key_view(row)
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            return _audited(change, "dkim-key.update", before, row)

    def page(self, actor: Actor, query: PageQuery) -> Page[KeyView]:
        """A page of the keys the caller may see.

        Filters: domain, tenant, state, algorithm, selector, client_id, metadata.KEY. Sorts: domain,
        created_at. Raises Invalid, NotFound.
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, visible(actor, KeyRow))

    def list(self, actor: Actor, *, domain: str | None = None) -> tuple[KeyView, ...]:
        """Keys by domain and age; of one domain if it is given. Raises NotFound."""
        with self._writes.view() as session:
            statement = sa.select(KeyRow).where(visible(actor, KeyRow))
            if domain is not None:
                statement = statement.where(KeyRow.domain_id == find_domain(session, actor, domain).id)
            rows = session.scalars(statement.order_by(KeyRow.domain, KeyRow.id))
            return tuple(key_view(row) for row in rows)

    def show(self, actor: Actor, reference: str) -> KeyView:
        """One key by id or by the name of its record, `selector._domainkey.domain`. Raises NotFound."""
        with self._writes.view() as session:
            return key_view(find_key(session, actor, reference))

    # For other services, inside their transactions

    def make(self, algorithm: str = "rsa", bits: int = _DEFAULT_BITS) -> KeyMaterial:
        """A fresh key pair; slow, so before the transaction. Raises Invalid."""
        return self._make_key(check_kind(algorithm, bits), bits)

    def add(
        self,
        change: ControlChange,
        material: KeyMaterial,
        owner: DomainRow | ShardRow,
        *,
        state: Literal["pending", "active"],
        selector: str | None = None,
    ) -> KeyRow:
        """Store a key of a domain or of a shard, sealed to its row, under the selector that is its turn.

        Raises Conflict where there is none.
        """
        selector = selector or self._selector(change, owner, material)
        row_id = change.ids.uuid()
        place = key_place(owner.tenant_id, row_id)
        sealed = self._vault.sealer(change, "dkim").seal(material.private, **place)
        row = KeyRow(
            id=row_id,
            tenant_id=owner.tenant_id,
            domain_id=owner.id if isinstance(owner, DomainRow) else None,
            shard_id=owner.id if isinstance(owner, ShardRow) else None,
            domain=owner.name,
            selector=selector,
            algorithm=material.algorithm,
            bits=material.bits,
            state=state,
            sealed=sealed,
            public_key=material.public_key,
            created_at=change.now,
            activated_at=change.now if state == "active" else None,
        )
        change.add(row)
        change.changed("key", row.id, tenant_id=row.tenant_id)
        return row

    def put_in_force(self, change: ControlChange, row: KeyRow) -> None:
        """Make a key the one that signs; others of its owner and kind retire."""
        for other in change.session.scalars(siblings(row).where(KeyRow.state == "active")).all():
            other.state, other.retiring_at = "retiring", change.now
            change.changed("key", other.id, tenant_id=other.tenant_id)
        row.state, row.activated_at = "active", change.now
        change.session.flush()
        change.changed("key", row.id, tenant_id=row.tenant_id)

    def take_seen(self, change: ControlChange, domain: DomainRow, records: Collection[RecordView]) -> None:
        """Note which keys of a domain and its shards DNS has shown; those that waited for it sign now.

        `records`: what is to be published, each with the state in which it was found.
        """
        shards = sa.select(ShardRow.id).where(ShardRow.domain_id == domain.id)
        keys = published_keys().where(sa.or_(KeyRow.domain_id == domain.id, KeyRow.shard_id.in_(shards)))
        if self._settings.publishes:
            # Those are used a while after they were published: gateway.control.domains.publishing.keylook.
            keys = keys.where(sa.or_(KeyRow.state != "pending", ~takes_over(self._settings.record_ttl)))
        slots = change.session.scalars(sa.select(SlotRow).where(SlotRow.domain_id == domain.id)).all()
        for key in keys_seen(change.session.scalars(keys.order_by(KeyRow.id)).all(), slots, records):
            self.note_seen(change, key)

    def note_seen(self, change: ControlChange, key: KeyRow) -> None:
        """DNS has shown a key: one that waited for that signs from now on, unless it is nobody's yet."""
        key.seen_at = key.seen_at or change.now
        if key.state == "pending" and not is_in_pool(change.session, key, self._settings.trial_zone):
            before = key_view(key)
            self.put_in_force(change, key)
            _audited(change, "dkim-key.activate", before, key)

    def hand_out(self, change: ControlChange, domain: DomainRow) -> KeyRow:
        """Give a trial domain a key that is published already. Raises Conflict if there is none left."""
        key = take_from_pool(change, self._vault, self._settings, domain)
        self.put_in_force(change, key)
        return key

    def begin(self, change: ControlChange, shard: ShardRow, material: KeyMaterial) -> None:
        """Let a shard sign: with a key that it has, else with a new one once its record is seen."""
        living = keys_of(shard).where(KeyRow.state.in_(("pending", "active")))
        if change.session.scalars(living.limit(1)).one_or_none() is None:
            self._introduce(change, shard, material, "dkim-key.create", None)

    def _follow(
        self, change: ControlChange, owner: DomainRow | ShardRow, key: KeyRow, make: KeyMaker
    ) -> KeyView:
        """The successor of a key: the one that waits, or a new one."""
        waiting = waiting_after(change.session, key)
        if waiting is not None:
            return key_view(waiting)
        room_for_key(change.session, change.actor, owner)
        if self._is_pooled(owner):
            return self._hand_over(change, owner, "dkim-key.rotate")
        material = make(check_kind(key.algorithm, key.bits), key.bits)
        return self._introduce(change, owner, material, "dkim-key.rotate", None)

    def _selector(self, change: ControlChange, owner: DomainRow | ShardRow, material: KeyMaterial) -> str:
        if isinstance(owner, DomainRow) and owner.kind == "custom" and self._settings.publishes:
            return free_slot(change, owner, material.algorithm)
        return dated_selector(change, owner.name)

    def _add_made(
        self, actor: Actor, domain: str, material: KeyMaterial, operation: str, selector: str | None
    ) -> KeyView:
        if selector is not None:
            selector = clean_selector(selector)
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, domain)
            room_for_key(change.session, actor, row)
            if self._is_pooled(row):
                raise Conflict(
                    "fixed-keys",
                    f"{row.name} signs with keys that are published under {self._settings.trial_zone}.",
                    f"`gatepost dkim-key rotate {row.name}` takes the next of them.",
                )
            return self._introduce(change, row, material, operation, selector)

    def _introduce(
        self,
        change: ControlChange,
        owner: DomainRow | ShardRow,
        material: KeyMaterial,
        operation: str,
        selector: str | None,
    ) -> KeyView:
        """Add a key to a domain or a shard."""
        if selector is not None and selector in taken_selectors(change.session, owner.name):
            raise Conflict(
                "selector-taken",
                f"{owner.name} has a key with the selector {selector} already.",
                "Choose another selector, or leave it out.",
            )
        waits = must_be_seen_first(change.session, owner)
        key = self.add(change, material, owner, state="pending", selector=selector)
        if not waits:
            self.put_in_force(change, key)
        return self._told(change, owner, key, operation)

    def _hand_over(self, change: ControlChange, domain: DomainRow, operation: str) -> KeyView:
        """Give a trial domain a key that waits under the trial zone, as its next."""
        return self._told(change, domain, self.hand_out(change, domain), operation)

    def _told(
        self, change: ControlChange, owner: DomainRow | ShardRow, key: KeyRow, operation: str
    ) -> KeyView:
        view = key_view(key)
        record(change, operation, "key", None, view, publish_by=self._publisher(change.session, owner, key))
        return view

    def _publisher(self, session: Session, owner: DomainRow | ShardRow, key: KeyRow) -> str:
        """Who puts a new key's record into DNS."""
        domain = domain_above(session, owner)
        if domain is None:
            return "customer"
        in_slot = owner is domain and key.selector in slots_of(session, domain)
        return "platform" if domain.kind != "custom" or in_slot else "customer"

    def _is_pooled(self, owner: DomainRow | ShardRow) -> TypeGuard[DomainRow]:
        return isinstance(owner, DomainRow) and owner.kind == "trial" and self._settings.trial_selectors > 0

    def _pool_follows(self, session: Session, key: KeyRow) -> bool:
        """Whether a trial domain's key was its last, and there is a fixed one to follow it."""
        waiting = next_waiting(session, self._settings.trial_zone)
        return waiting is not None and _next_of(session, key) is None

    def _material_after(self, session: Session, key: KeyRow) -> KeyMaterial | None:
        """What follows a key that is revoked, if the platform publishes for its owner and it is the last."""
        if key.state != "active" or not self._settings.publishes or _next_of(session, key) is not None:
            return None
        owner = owner_of(session, key)
        domain = domain_above(session, owner)
        customers = domain is None or (owner is not domain and domain.kind == "custom")
        if customers or self._is_pooled(owner):
            return None
        return self._make_key(check_kind(key.algorithm, key.bits), key.bits)


def _next_of(session: Session, key: KeyRow) -> KeyRow | None:
    """Another key of the same owner and kind that signs or will."""
    others = siblings(key).where(KeyRow.state.in_(("pending", "active")))
    return session.scalars(others.limit(1)).one_or_none()


def _audited(change: ControlChange, operation: str, before: KeyView, row: KeyRow) -> KeyView:
    change.session.flush()
    after = key_view(row)
    record(change, operation, "key", before, after)
    return after
