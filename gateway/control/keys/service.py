"""DKIM keys: made, imported, rotated, revoked. The private half goes in sealed and never comes out here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.clientids import set_client_id
from gateway.control.domains.find import find_domain
from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict, Invalid
from gateway.control.installation.vault import Vault
from gateway.control.keys.material import (
    KeyMaker,
    KeyMaterial,
    check_kind,
    import_key,
    next_selector,
)
from gateway.control.keys.model import KeyRow
from gateway.control.keys.sealing import key_place
from gateway.control.keys.view import LISTING, KeyView, key_name, key_view
from gateway.control.lookup import clean_metadata, is_id, not_found, shown
from gateway.control.paging import Page, PageQuery, read_page
from gateway.control.recording import payload, record
from gateway.control.records import Actor, KeyAlgorithm
from gateway.control.shards.model import ShardRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible

_DEFAULT_BITS = 2048


class KeyService:
    """Rules and transactions of keys.

    A key signs once it is active. The first key of a domain is active at once: nothing is sent before the
    domain is verified. A later one waits as "pending" where DNS proved the domain, until
    `domain verify` sees its record (or `activate` says so); where a zone of ours or an operator's word
    stands for the domain, it signs at once. The one it follows is then "retiring": still published, no
    longer used.
    """

    def __init__(self, writes: ControlWrites, vault: Vault, make_key: KeyMaker) -> None:
        self._writes = writes
        self._vault = vault
        self._make_key = make_key

    def create(
        self, actor: Actor, domain: str, *, algorithm: str = "rsa", bits: int = _DEFAULT_BITS
    ) -> KeyView:
        """Make a key for a domain (its name or id). Raises NotFound, Invalid."""
        return self._add_made(actor, domain, self.make(algorithm, bits), "dkim-key.create", None)

    def import_pem(self, actor: Actor, domain: str, pem: bytes, *, selector: str | None = None) -> KeyView:
        """Take an existing private key (PEM, no password), under its published selector if one is given."""
        return self._add_made(actor, domain, import_key(pem), "dkim-key.import", selector)

    def rotate(self, actor: Actor, domain: str) -> tuple[KeyView, ...]:
        """Make a successor for each active key of a domain, of the same kind. Raises NotFound, Conflict."""
        with self._writes.view() as session:
            row = find_domain(session, actor, domain)
            domain_id, old = row.id, _active(session, row)
        if not old:
            raise Conflict(
                "no-active-key",
                f"{row.name} has no active key to follow.",
                f"`gatepost dkim-key create {row.name}` makes one.",
            )
        made = [self._make_key(algorithm, bits) for algorithm, bits in old]
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, domain_id)
            views = tuple(self._introduce(change, row, one, "dkim-key.rotate", None) for one in made)
            change.result = {"items": [payload(view) for view in views], "next_cursor": None}
            return views

    def activate(self, actor: Actor, reference: str) -> KeyView:
        """Sign with a pending key from now on: the caller says that its record is published."""
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            if row.state != "pending":
                raise Conflict(
                    "not-pending", f"The key {key_name(row)} is {row.state}.", "Only pending keys wait."
                )
            before = key_view(row)
            self.put_in_force(change, row)
            return _audited(change, "dkim-key.activate", before, row)

    def revoke(self, actor: Actor, reference: str) -> KeyView:
        """Never sign with a key again; publish its record with an empty p=. Queued mail is signed anew."""
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            if row.state in ("revoked", "destroyed"):
                raise Conflict(
                    "already-revoked", f"The key {key_name(row)} is {row.state}.", "Nothing is to be done."
                )
            before = key_view(row)
            row.state, row.ended_at = "revoked", change.now
            return _audited(change, "dkim-key.revoke", before, row)

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
            row = _find(change.session, actor, reference)
            before = key_view(row)
            set_client_id(change.session, row, client_id, KeyRow.tenant_id == row.tenant_id)
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
            return key_view(_find(session, actor, reference))

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
        """Store a key of a domain or of a shard, sealed to its row."""
        selector = selector or next_selector(change.now, _selectors(change.session, owner.name))
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
        """Make a key the one that signs; others of its domain and kind retire."""
        for other in change.session.scalars(
            sa.select(KeyRow).where(
                KeyRow.domain_id == row.domain_id,
                KeyRow.shard_id.is_not_distinct_from(row.shard_id),
                KeyRow.algorithm == row.algorithm,
                KeyRow.state == "active",
                KeyRow.id != row.id,
            )
        ):
            other.state, other.retiring_at = "retiring", change.now
            change.changed("key", other.id, tenant_id=other.tenant_id)
        row.state, row.activated_at = "active", change.now
        change.session.flush()
        change.changed("key", row.id, tenant_id=row.tenant_id)

    def _add_made(
        self, actor: Actor, domain: str, material: KeyMaterial, operation: str, selector: str | None
    ) -> KeyView:
        if selector is not None:
            selector = _clean_selector(selector)
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, domain)
            return self._introduce(change, row, material, operation, selector)

    def _introduce(
        self,
        change: ControlChange,
        domain: DomainRow,
        material: KeyMaterial,
        operation: str,
        selector: str | None,
    ) -> KeyView:
        if selector is not None and selector in _selectors(change.session, domain.name):
            raise Conflict(
                "selector-taken",
                f"{domain.name} has a key with the selector {selector} already.",
                "Choose another selector, or leave it out.",
            )
        key = self.add(change, material, domain, state="pending", selector=selector)
        if not _waits_for_dns(domain):
            self.put_in_force(change, key)
        view = key_view(key)
        record(change, operation, "key", None, view)
        return view


def _waits_for_dns(domain: DomainRow) -> bool:
    return domain.kind == "custom" and domain.verified_by == "dns"


def _active(session: Session, domain: DomainRow) -> list[tuple[KeyAlgorithm, int]]:
    rows = session.scalars(
        sa.select(KeyRow)
        .where(KeyRow.domain_id == domain.id, KeyRow.state == "active")
        .order_by(KeyRow.algorithm.desc())
    )
    return [(check_kind(row.algorithm, _DEFAULT_BITS), row.bits) for row in rows]


def _selectors(session: Session, domain: str) -> set[str]:
    """The selectors that a name has, in every tenant's claim: one record stands in DNS."""
    return set(session.scalars(sa.select(KeyRow.selector).where(KeyRow.domain == domain)))


def _clean_selector(selector: str) -> str:
    labels = selector.lower().split(".")
    for label in labels:
        inside = label.replace("-", "").replace("_", "")
        if not label or len(label) > 63 or not inside.isascii() or not inside.isalnum():
            raise Invalid(
                "bad-selector",
                f"{shown(selector)} is no selector.",
                "Use letters, digits and hyphens, such as s1.",
            )
    return ".".join(labels)


def _find(session: Session, actor: Actor, reference: str) -> KeyRow:
    statement = sa.select(KeyRow).where(visible(actor, KeyRow))
    if is_id(reference):
        statement = statement.where(KeyRow.id == reference.lower())
    else:
        selector, _, domain = reference.lower().partition("._domainkey.")
        statement = statement.where(KeyRow.selector == selector, KeyRow.domain == domain)
    row = session.scalars(statement.limit(1)).one_or_none()
    if row is None:
        raise not_found("dkim-key", reference)
    return row


def _audited(change: ControlChange, operation: str, before: KeyView, row: KeyRow) -> KeyView:
    change.session.flush()
    after = key_view(row)
    record(change, operation, "key", before, after)
    return after
