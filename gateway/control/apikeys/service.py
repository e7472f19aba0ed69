"""API keys: made narrower than their maker, recognised, revoked. The key itself is shown once."""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.apikeys.format import ApiKey, make_api_key, parse_api_key
from gateway.control.apikeys.model import ApiKeyRow
from gateway.control.apikeys.reach import granted_rights, inherit_limits, wider
from gateway.control.ceilings import API_KEYS, leave_room
from gateway.control.clientids import set_client_id
from gateway.control.credentials.format import is_key_id
from gateway.control.credentials.terms import clean_expiry, clean_networks
from gateway.control.errors import Conflict
from gateway.control.lookup import clean_metadata, clean_name, is_id, not_found, parse_environment
from gateway.control.paging import Listing, Page, PageQuery, one_by_one, read_page
from gateway.control.recording import payload, record
from gateway.control.records import Actor, Environment, Right
from gateway.control.tenants.find import find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlWrites
from gateway.control.workspaces.find import find_workspace


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    """A key without its secret; `scope` says in a word what it is limited to."""

    id: str
    name: str
    key_id: str
    scope: str
    rights: tuple[str, ...]
    tenant_id: str | None
    workspace_id: str | None
    environment: str | None
    networks: tuple[str, ...]
    expires_at: float | None
    revoked_at: float | None
    created_by: str
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that was recognised, as a caller: what it is limited to and may do."""

    id: str
    name: str
    rights: frozenset[Right]
    tenant_id: str | None
    workspace_id: str | None
    environment: Environment | None
    networks: tuple[str, ...] = field(default=())

    def allows(self, address: str | None) -> bool:
        """Whether it may be used from this IP address."""
        if not self.networks:
            return True
        if address is None:
            return False
        here = ipaddress.ip_address(address)
        return any(here in ipaddress.ip_network(network) for network in self.networks)


class ApiKeyService:
    """Rules and transactions of API keys. A key makes only keys that reach no further than itself."""

    def __init__(self, writes: ControlWrites, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._writes = writes
        self._random_bytes = random_bytes

    def create(
        self,
        actor: Actor,
        name: str,
        *,
        tenant: str | None = None,
        workspace: str | None = None,
        environment: str | None = None,
        rights: Iterable[str] = ("read",),
        networks: Iterable[str] = (),
        expires_at: float | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> tuple[ApiKeyView, str]:
        """A new key: its view, and the key itself, which nobody can show again.

        Without `tenant`, `workspace`, `environment`, `networks` and `expires_at` it is limited as the key
        that makes it is. Raises Invalid, NotFound, Conflict (the client_id is another key's), Forbidden
        (wider than the maker).
        """
        clean, known = clean_name(name, "api-key"), granted_rights(actor, rights)
        pairs, nets = clean_metadata(metadata), clean_networks(networks)
        key = make_api_key(self._random_bytes)
        with self._writes.change(actor) as change:
            row = ApiKeyRow(
                id=change.ids.uuid(),
                name=clean,
                key_id=key.key_id,
                hash=key.hash,
                rights=list(known),
                networks=list(nets),
                expires_at=clean_expiry(expires_at, change.now),
                created_by=f"{actor.kind}:{actor.id}",
                metadata_=pairs,
                created_at=change.now,
                updated_at=change.now,
            )
            self._limit(change.session, actor, row, tenant, workspace, environment)
            set_client_id(change.session, row, client_id)
            change.add(row)
            view = api_key_view(row)
            record(change, "api-key.create", "api-key", None, view)
            fix = f"The key was shown once: `gatepost api-key revoke {view.key_id}`, and make another."
            change.result = {**payload(view), "key": None, "fix": fix}
            return view, key.text

    def list(self, actor: Actor, query: PageQuery | None = None) -> Page[ApiKeyView]:
        """Keys within the caller's limits. Raises Invalid."""
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query or PageQuery(), _within(actor))

    def show(self, actor: Actor, reference: str) -> ApiKeyView:
        """One key by its key id, id or name. Raises NotFound, Conflict (a name of several)."""
        with self._writes.view() as session:
            return api_key_view(_find(session, actor, reference))

    def revoke(self, actor: Actor, reference: str) -> ApiKeyView:
        """Make a key worthless for ever. Revoking again changes nothing. Raises NotFound, Conflict."""
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            before = api_key_view(row)
            if row.revoked_at is None:
                row.revoked_at = row.updated_at = change.now
                change.session.flush()
                record(change, "api-key.revoke", "api-key", before, api_key_view(row))
            return api_key_view(row)

    def recognise(self, text: str) -> KnownKey | None:
        """The key that `text` is, if it is valid now; None says nothing about why not."""
        asked = parse_api_key(text)
        if asked is None:
            return None
        with self._writes.view() as session:
            row = session.scalars(sa.select(ApiKeyRow).where(ApiKeyRow.key_id == asked.key_id)).one_or_none()
            if row is None or not _is_valid(session, row, asked, self._writes.clock.now()):
                return None
            return KnownKey(
                id=row.id,
                name=row.name,
                rights=frozenset(cast("list[Right]", row.rights)),
                tenant_id=row.tenant_id,
                workspace_id=row.workspace_id,
                environment=parse_environment(row.environment) if row.environment is not None else None,
                networks=tuple(row.networks),
            )

    def is_welcome(self, actor: Actor) -> bool:
        """Whether a caller that was recognised would be so now: for requests that last."""
        if actor.kind != "api":
            return True
        with self._writes.view() as session:
            row = session.get(ApiKeyRow, actor.id)
            return row is not None and _lives(session, row, self._writes.clock.now())

    def _limit(
        self,
        session: Session,
        actor: Actor,
        row: ApiKeyRow,
        tenant: str | None,
        workspace: str | None,
        environment: str | None,
    ) -> None:
        """Set the key's limits: what was asked for, inside what the maker has."""
        row.tenant_id = find_tenant(session, actor, tenant).id if tenant is not None else actor.tenant_id
        row.workspace_id = actor.workspace_id
        if workspace is not None:
            place = find_workspace(session, actor, workspace, tenant_id=row.tenant_id)
            if place.tenant_id is not None:
                row.tenant_id = place.tenant_id
            row.workspace_id = place.id
        row.environment = actor.environment
        if environment is not None:
            row.environment = parse_environment(environment)
            if actor.environment not in (None, row.environment):
                raise wider(f"the environment {row.environment}")
        inherit_limits(session, actor, row)
        living = (
            ApiKeyRow.tenant_id == row.tenant_id,
            ApiKeyRow.revoked_at.is_(None),
            sa.or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > row.created_at),
        )
        leave_room(session, actor, API_KEYS, ApiKeyRow.id, *living)


def api_key_view(row: ApiKeyRow) -> ApiKeyView:
    """The view of a row."""
    limits = [
        name
        for name, value in (
            ("tenant", row.tenant_id),
            ("workspace", row.workspace_id),
            ("environment", row.environment),
        )
        if value is not None
    ]
    return ApiKeyView(
        id=row.id,
        name=row.name,
        key_id=row.key_id,
        scope="+".join(limits) or "platform",
        rights=tuple(row.rights),
        tenant_id=row.tenant_id,
        workspace_id=row.workspace_id,
        environment=row.environment,
        networks=tuple(row.networks),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        created_by=row.created_by,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


LISTING = Listing(
    row=ApiKeyRow,
    views=one_by_one(lambda _, row: api_key_view(row)),
    sorts={"created_at": ApiKeyRow.created_at, "name": ApiKeyRow.name},
    filters={
        "name": ApiKeyRow.name,
        "tenant": lambda session, actor, word: ApiKeyRow.tenant_id == find_tenant(session, actor, word).id,
        "environment": ApiKeyRow.environment,
        "client_id": ApiKeyRow.client_id,
    },
)


def _within(actor: Actor) -> sa.ColumnElement[bool]:
    """The keys that reach no further than the caller."""
    limits = [
        column == value
        for column, value in (
            (ApiKeyRow.tenant_id, actor.tenant_id),
            (ApiKeyRow.workspace_id, actor.workspace_id),
            (ApiKeyRow.environment, actor.environment),
        )
        if value is not None
    ]
    return sa.and_(sa.true(), *limits)


def _find(session: Session, actor: Actor, reference: str) -> ApiKeyRow:
    """A key by its key id, its id, or its name; of a name's keys those that are revoked count last."""
    if is_key_id(reference) or is_id(reference):
        column = ApiKeyRow.key_id if is_key_id(reference) else ApiKeyRow.id
        exact = session.scalars(sa.select(ApiKeyRow).where(column == reference, _within(actor))).one_or_none()
        if exact is not None:
            return exact
    named = session.scalars(sa.select(ApiKeyRow).where(ApiKeyRow.name == reference, _within(actor))).all()
    rows = [row for row in named if row.revoked_at is None] or named
    if not rows:
        raise not_found("api-key", reference)
    if len(rows) > 1:
        raise Conflict(
            "ambiguous",
            f"{reference} names several API keys.",
            "Use the key id instead; `gatepost api-key list` shows it.",
        )
    return rows[0]


def _is_valid(session: Session, row: ApiKeyRow, asked: ApiKey, now: float) -> bool:
    return hmac.compare_digest(row.hash, asked.hash) and _lives(session, row, now)


def _lives(session: Session, row: ApiKeyRow, now: float) -> bool:
    if row.revoked_at is not None or (row.expires_at is not None and now >= row.expires_at):
        return False
    if row.tenant_id is None:
        return True
    # A tenant that is suspended or being deleted has no callers either.
    status = session.scalar(sa.select(TenantRow.status).where(TenantRow.id == row.tenant_id))
    return status == "active"
