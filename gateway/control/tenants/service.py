"""Tenants: made with a trial domain and a shard at once, suspended, resumed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountRow
from gateway.control.accounts.moves import MoveResult, move, named_destinations
from gateway.control.clientids import set_client_id
from gateway.control.domains.service import DomainService
from gateway.control.domains.view import domain_view
from gateway.control.errors import Conflict, Forbidden, Invalid
from gateway.control.keys.service import KeyService
from gateway.control.lookup import (
    clean_metadata,
    clean_name,
    clean_reason,
    name_key,
    parse_environment,
    shown,
)
from gateway.control.paging import Page, PageQuery, in_parts, read_page
from gateway.control.plans.model import PlanRow
from gateway.control.plans.service import find_plan
from gateway.control.recording import payload, record
from gateway.control.records import ENVIRONMENTS, Actor, Environment
from gateway.control.shards.service import ShardService
from gateway.control.shards.view import shard_view
from gateway.control.tenants.find import find_tenant
from gateway.control.tenants.fitting import PlanPreview, preview_plan
from gateway.control.tenants.model import STATUSES, TenantRow
from gateway.control.tenants.view import LISTING, TenantView, tenant_view, tenant_views
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible
from gateway.mail.address import AddressError, parse_mailbox

_LONGEST_SLUG = 40
_MOST_CONTACTS = 20
_RESERVED_SLUGS = frozenset({"platform", "bounce", "shards", "www", "mail", "mx", "ns"})


class TenantService:
    """Rules and transactions of tenants."""

    def __init__(
        self,
        writes: ControlWrites,
        domains: DomainService,
        shards: ShardService,
        keys: KeyService,
        *,
        default_plan: str = "standard",
        shard_label: str = "s1.mail",
    ) -> None:
        self._writes = writes
        self._domains = domains
        self._shards = shards
        self._keys = keys
        self._default_plan = default_plan
        self._shard_label = shard_label

    def create(
        self,
        actor: Actor,
        name: str,
        *,
        plan: str | None = None,
        environment: str = "production",
        contacts: Sequence[str] = (),
        notices: bool = True,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> TenantView:
        """Make a tenant that can send at once: with a trial domain, its key, and a shard under it.

        Raises Invalid, Conflict (the name), NotFound (the plan), Forbidden (a caller limited to a tenant).
        """
        _operator_only(actor)
        known, material = parse_environment(environment), self._keys.make()
        with self._writes.change(actor) as change:
            row = self._register(change, name, plan, contacts, notices, client_id, metadata)
            domain = self._domains.create_trial(change, row, known, material)
            shard = self._shards.add(change, row, f"{self._shard_label}.{domain.name}", environment=known)
            view = self._audited(change, "tenant.create", None, row)
            record(change, "domain.add-trial", "domain", None, domain_view(domain))
            record(change, "shard.create", "shard", None, shard_view(change.session, shard))
            change.result = payload(view)
            return view

    def register(
        self,
        actor: Actor,
        name: str,
        *,
        plan: str | None = None,
        contacts: Sequence[str] = (),
        notices: bool = True,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> TenantView:
        """Make a tenant that has no domain and no shard yet.

        Raises Invalid, Conflict (the name), NotFound (the plan), Forbidden (a caller limited to a tenant).
        """
        _operator_only(actor)
        with self._writes.change(actor) as change:
            row = self._register(change, name, plan, contacts, notices, client_id, metadata)
            return self._audited(change, "tenant.create", None, row)

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        name: str | None = None,
        plan: str | None = None,
        contacts: Sequence[str] | None = None,
        notices: bool | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> TenantView:
        """Change what is given, leave what is None; the trial name stays.

        `notices`: whether the contacts are written to. Another plan holds within a second. What does not fit
        a smaller one stays, under the plan's limits: the result lists it. Plan, name and client_id are the
        operator's to change: by the last two it knows its customers apart. Raises NotFound, Invalid,
        Conflict, Forbidden.
        """
        clean = clean_name(name, "tenant") if name is not None else None
        _whole_tenant(actor)
        with self._writes.change(actor) as change:
            row = find_tenant(change.session, actor, reference)
            if (plan, name, client_id) != (None, None, None):
                _operator_only(actor)
            before = tenant_view(change.session, row)
            if clean is not None and name_key(clean) != row.name_key:
                _refuse_taken(change.session, clean)
            if clean is not None:
                row.name, row.name_key = clean, name_key(clean)
            if plan is not None:
                row.plan_id = find_plan(change.session, plan).id
            if contacts is not None:
                row.contacts = clean_contacts(contacts)
            row.notices = row.notices if notices is None else notices
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            return self._audited(change, "tenant.update", before, row)

    def preview_plan(self, actor: Actor, reference: str, plan: str) -> PlanPreview:
        """What another plan would change for a tenant; nothing is changed. Raises NotFound."""
        with self._writes.view() as session:
            row = find_tenant(session, actor, reference)
            return preview_plan(session, row, find_plan(session, plan))

    def move(
        self,
        actor: Actor,
        reference: str,
        workspace: str,
        *,
        environment: str | None = None,
        dry_run: bool = False,
    ) -> MoveResult:
        """Move all accounts of a tenant (of one environment if given) into a workspace, all or none.

        Tells for each what changes; a dry run only tells. Raises NotFound, Invalid, Conflict (an account of
        another environment than the workspace), Forbidden.
        """
        _whole_tenant(actor)
        known = parse_environment(environment) if environment is not None else None
        opened = self._writes.rehearsal(actor) if dry_run else self._writes.change(actor)
        with opened as change:
            row = find_tenant(change.session, actor, reference)
            accounts = sa.select(AccountRow).where(AccountRow.tenant_id == row.id).order_by(AccountRow.id)
            if known is not None:
                accounts = accounts.where(AccountRow.environment == known)
            rows = change.session.scalars(accounts).all()
            wanted = named_destinations(change.session, actor, rows, workspace)
            return move(change, wanted, dry_run=dry_run)

    def suspend(self, actor: Actor, reference: str, *, reason: str | None = None) -> TenantView:
        """Stop a tenant's logins and queue; nothing is lost. Raises NotFound, Conflict, Forbidden."""
        return self._move(actor, reference, "tenant.suspend", "suspended", "active", reason)

    def resume(self, actor: Actor, reference: str) -> TenantView:
        """Let a suspended tenant work again. Raises NotFound, Conflict."""
        return self._move(actor, reference, "tenant.resume", "active", "suspended", None)

    def page(self, actor: Actor, query: PageQuery) -> Page[TenantView]:
        """A page of the tenants the caller may see.

        Filters: name, status, plan, client_id, metadata.KEY. Sorts: name, created_at, updated_at. Raises
        Invalid, NotFound.
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, visible(actor, TenantRow))

    def list(self, actor: Actor, *, status: str | None = None) -> tuple[TenantView, ...]:
        """Tenants by name, the platform among them. Raises Invalid."""
        if status is not None and status not in STATUSES:
            raise Invalid("bad-status", f"{shown(status)} is no status.", f"Choose {', '.join(STATUSES)}.")
        with self._writes.view() as session:
            statement = sa.select(TenantRow).where(visible(actor, TenantRow)).order_by(TenantRow.name_key)
            if status is not None:
                statement = statement.where(TenantRow.status == status)
            rows = session.scalars(statement).all()
            return in_parts(session, rows, tenant_views)

    def show(self, actor: Actor, reference: str) -> TenantView:
        """One tenant by name or id. Raises NotFound."""
        with self._writes.view() as session:
            return tenant_view(session, find_tenant(session, actor, reference))

    # For other services, inside their transactions

    def add(self, change: ControlChange, name: str, plan: PlanRow, *, slug: str | None = None) -> TenantRow:
        """Store a tenant without anything of it; `slug` makes it the platform. Raises Conflict."""
        _refuse_taken(change.session, name)
        row = TenantRow(
            id=change.ids.uuid(),
            name=name,
            name_key=name_key(name),
            slug=slug or _free_slug(change.session, name),
            plan_id=plan.id,
            status="active",
            is_platform=slug is not None,
            contacts=[],
            metadata_={},
            created_at=change.now,
            updated_at=change.now,
        )
        change.add(row)
        change.changed("tenant", row.id, tenant_id=row.id)
        return row

    def _register(
        self,
        change: ControlChange,
        name: str,
        plan: str | None,
        contacts: Sequence[str],
        notices: bool,
        client_id: str | None,
        metadata: Mapping[str, str] | None,
    ) -> TenantRow:
        clean = clean_name(name, "tenant")
        row = self.add(change, clean, find_plan(change.session, plan or self._default_plan))
        row.contacts, row.notices = clean_contacts(contacts), notices
        row.metadata_ = clean_metadata(metadata)
        set_client_id(change.session, row, client_id)
        change.session.flush()
        return row

    def _move(
        self, actor: Actor, reference: str, operation: str, status: str, allowed: str, reason: str | None
    ) -> TenantView:
        with self._writes.change(actor) as change:
            row = find_tenant(change.session, actor, reference)
            _operator_only(actor)
            if row.is_platform:
                raise Forbidden(
                    "platform-tenant",
                    "The platform's own tenant cannot be suspended.",
                    "Stop the service instead.",
                )
            if row.status != allowed:
                raise Conflict(
                    "wrong-status",
                    f"The tenant {row.name} is {row.status}.",
                    f"Only {allowed} ones become {status}.",
                )
            before = tenant_view(change.session, row)
            row.status, row.status_reason = status, clean_reason(reason)
            row.suspended_at = change.now if status == "suspended" else None
            return self._audited(change, operation, before, row)

    def _audited(
        self, change: ControlChange, operation: str, before: TenantView | None, row: TenantRow
    ) -> TenantView:
        row.updated_at = change.now
        change.session.flush()
        after = tenant_view(change.session, row)
        record(change, operation, "tenant", before, after)
        return after


def clean_contacts(contacts: Sequence[str]) -> list[str]:
    """Addresses that get notices, each once. Raises Invalid."""
    addresses: dict[str, str] = {}
    for contact in contacts:
        try:
            mailbox = parse_mailbox(contact, smtputf8=True)
        except AddressError as error:
            raise Invalid("bad-contact", f"A contact is no address: {error}.", "Give addresses.") from None
        addresses.setdefault(mailbox.key, str(mailbox))
    if len(addresses) > _MOST_CONTACTS:
        raise Invalid(
            "too-many-contacts", f"{len(addresses)} contacts are too many.", f"Give {_MOST_CONTACTS} at most."
        )
    return list(addresses.values())


def slug_of(name: str) -> str:
    """The label that a name becomes in DNS: "Müller & Söhne" gives "muller-sohne"."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    words = re.sub(r"[^a-z0-9]+", "-", decomposed.encode("ascii", "ignore").decode())
    return re.sub(r"-+", "-", words).strip("-")[:_LONGEST_SLUG].strip("-") or "tenant"


def _free_slug(session: Session, name: str) -> str:
    slug = slug_of(name)
    # A trial name of another environment is "<slug>-staging": no slug may look like one.
    ends_like_one = slug.endswith(tuple(f"-{one}" for one in _suffixed(ENVIRONMENTS)))
    number = 2 if slug in _RESERVED_SLUGS or ends_like_one else 1
    while True:
        candidate = slug if number == 1 else f"{slug}-{number}"
        if session.scalar(sa.select(TenantRow.id).where(TenantRow.slug == candidate)) is None:
            return candidate
        number += 1


def _suffixed(environments: tuple[Environment, ...]) -> tuple[str, ...]:
    return tuple(one for one in environments if one != "production")


def _refuse_taken(session: Session, name: str) -> None:
    if session.scalar(sa.select(TenantRow.id).where(TenantRow.name_key == name_key(name))) is not None:
        raise Conflict("tenant-exists", f"There is a tenant {shown(name)} already.", "Choose another name.")


def _whole_tenant(actor: Actor) -> None:
    if not actor.spans_tenant:
        raise Forbidden(
            "tenant-wide",
            "This concerns the tenant in all its workspaces and environments.",
            "Use a key that is not limited to one of them.",
        )


def _operator_only(actor: Actor) -> None:
    if not actor.is_operator:
        raise Forbidden("operator-only", "Only the operator may do this.", "Ask the platform's operator.")
