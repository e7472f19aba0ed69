"""Domains: trial names at once, custom ones claimed, proved, and then held by one tenant alone."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.promotion import Promotion, WaitingAddress, promote_addresses, waiting_for
from gateway.control.clientids import set_client_id
from gateway.control.domains.claims import refuse_claim
from gateway.control.domains.dnsrecords import in_fixed_set, records_of
from gateway.control.domains.find import find_domain, holder
from gateway.control.domains.listing import LISTING
from gateway.control.domains.model import MODES, STATES, DomainRow
from gateway.control.domains.names import is_below, is_public, parse_name
from gateway.control.domains.proof import hold
from gateway.control.domains.view import DomainCheck, DomainView, RecordView, domain_view
from gateway.control.domains.watch.observer import Conclusion, Observer
from gateway.control.domains.watch.sight import DomainSight, Turns
from gateway.control.domains.watch.subjects import subject_of
from gateway.control.domains.watch.values import Drift, Look, Memory
from gateway.control.domains.watch.values import shown as known_records
from gateway.control.errors import Conflict, Invalid
from gateway.control.keys.material import KeyMaterial
from gateway.control.keys.service import KeyService
from gateway.control.lookup import clean_metadata, environment_for, parse_environment, shown
from gateway.control.paging import Page, PageQuery, read_page
from gateway.control.recording import payload, record
from gateway.control.records import Actor, DomainKind, Environment
from gateway.control.settings import ControlSettings
from gateway.control.tenants.find import changeable_tenant, find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import operator_only, visible

_LONGEST_REASON = 500
_LONGEST_CUSTOM = 225
"""Leaves room for `_gatepost-challenge.` and selectors before it, in the 253 octets of a name."""


class DomainService:
    """Rules and transactions of domains."""

    def __init__(
        self,
        writes: ControlWrites,
        keys: KeyService,
        settings: ControlSettings,
        sight: DomainSight,
        turns: Turns,
    ) -> None:
        self._writes = writes
        self._keys = keys
        self._settings = settings
        self._sight = sight
        self._turns = turns
        self._observer = Observer(writes, keys, sight.timing, sight.random)

    def add(
        self,
        actor: Actor,
        name: str,
        *,
        tenant: str,
        environment: str = "production",
        mode: str = "send",
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> DomainView:
        """Claim a custom domain for a tenant, and make its first DKIM key; pending until it is proved.

        Raises Invalid (with the reason: its form, a public suffix), Conflict (the tenant has it already, it
        lies under another tenant's, too many claims wait), NotFound (the tenant).
        """
        ascii_name = self._custom_name(name)
        known = environment_for(actor, environment)
        _check_mode(mode)
        pairs = clean_metadata(metadata)
        with self._writes.view() as session:
            # Before the work: a claim that is refused costs no key.
            refuse_claim(
                session, changeable_tenant(session, actor, tenant), ascii_name, self._settings.claims
            )
        material = self._keys.make()
        with self._writes.change(actor) as change:
            owner = changeable_tenant(change.session, actor, tenant)
            refuse_claim(change.session, owner, ascii_name, self._settings.claims)
            row = self.create(
                change, owner, ascii_name, environment=known, kind="custom", material=material, mode=mode
            )
            row.metadata_ = pairs
            set_client_id(change.session, row, client_id)
            change.session.flush()
            return _audited(change, "domain.add", None, row)

    def add_trial(self, actor: Actor, *, tenant: str, environment: str = "production") -> DomainView:
        """Give a tenant its trial name in an environment; it may send at once. Raises Conflict."""
        known = environment_for(actor, environment)
        with self._writes.view() as session:
            self._trial_name(session, changeable_tenant(session, actor, tenant), known)
        material = self._keys.make()
        with self._writes.change(actor) as change:
            owner = changeable_tenant(change.session, actor, tenant)
            row = self.create_trial(change, owner, known, material)
            return _audited(change, "domain.add-trial", None, row)

    def page(self, actor: Actor, query: PageQuery) -> Page[DomainView]:
        """A page of the domains the caller may see.

        Filters: name, tenant, environment, kind, state, client_id, metadata.KEY. Sorts: name, created_at,
        updated_at. Raises Invalid, NotFound.
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, visible(actor, DomainRow))

    def list(
        self,
        actor: Actor,
        *,
        tenant: str | None = None,
        environment: str | None = None,
        state: str | None = None,
    ) -> tuple[DomainView, ...]:
        """Domains by name; of a tenant, an environment, a state if given. Raises NotFound, Invalid."""
        with self._writes.view() as session:
            statement = sa.select(DomainRow).where(visible(actor, DomainRow))
            if tenant is not None:
                statement = statement.where(DomainRow.tenant_id == find_tenant(session, actor, tenant).id)
            if environment is not None:
                statement = statement.where(DomainRow.environment == parse_environment(environment))
            if state is not None:
                if state not in STATES:
                    raise Invalid("bad-state", f"{shown(state)} is no state.", f"Choose {', '.join(STATES)}.")
                statement = statement.where(DomainRow.state == state)
            rows = session.scalars(statement.order_by(DomainRow.name, DomainRow.id))
            return tuple(domain_view(row) for row in rows)

    def show(self, actor: Actor, reference: str) -> DomainView:
        """One domain by name or id. Raises NotFound."""
        with self._writes.view() as session:
            return domain_view(find_domain(session, actor, reference))

    def records(self, actor: Actor, reference: str) -> tuple[RecordView, ...]:
        """What is to be published for a domain, and what the last look found of it. Raises NotFound.

        Nothing is looked up now.
        """
        return self._check(actor, reference, None).records

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        mode: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> DomainView:
        """Change what is given, leave what is None. `mode`: whether it sends only, or receives too.

        Raises NotFound, Invalid, Conflict.
        """
        if mode is not None:
            _check_mode(mode)
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, reference)
            before = domain_view(row)
            row.mode = row.mode if mode is None else mode
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            return _audited(change, "domain.update", before, row)

    def verify(self, actor: Actor, reference: str) -> DomainCheck:
        """Look at DNS now, at authority and resolver: a proved custom domain with its records is active.

        Pending keys whose record is there begin to sign. Raises NotFound, TooMany (it says when again),
        Conflict (another tenant holds the domain, or it is being deleted), Unavailable (DNS is too slow).
        """
        with self._writes.view() as session:
            row = _living(find_domain(session, actor, reference))
            subject = subject_of(session, row, self._settings)
        self._turns.take(subject.domain_id, subject.name)
        memory = self._sight.book.read(subject.domain_id, subject.tenant_id)
        # Slow, and out of our hands: never inside a transaction.
        conclusion = self.observed(actor, self._sight.examine(subject, memory), memory)
        self._sight.book.save([(conclusion.memory, conclusion.drifts)])
        if conclusion.refusal is not None:
            raise conclusion.refusal
        # The watch may have saved what it saw before: the caller is told what this look has found.
        return self._check(actor, subject.domain_id, conclusion.memory)

    def observed(self, actor: Actor, look: Look, before: Memory) -> Conclusion:
        """Draw the conclusions of a look, in one transaction if there are any; the caller keeps them.

        Raises DatabaseAway.
        """
        return self._observer.conclude(actor, look, before)

    def checked(self, actor: Actor, reference: str) -> DomainCheck:
        """What the last look found, and when the next one is; nothing is looked at. Raises NotFound."""
        return self._check(actor, reference, None)

    def _check(self, actor: Actor, reference: str, memory: Memory | None) -> DomainCheck:
        with self._writes.view() as session:
            row = find_domain(session, actor, reference)
            view, records = domain_view(row), records_of(session, row, self._settings)
        memory = memory or self._sight.book.read(view.id, view.tenant_id)
        return DomainCheck(
            view,
            known_records(records, memory.records),
            memory.remarks,
            memory.looked_at,
            memory.next_look_at,
            memory.reason,
        )

    def history(self, actor: Actor, reference: str, limit: int = 100) -> tuple[Drift, ...]:
        """What was observed of a domain and when, the newest first. Raises NotFound."""
        with self._writes.view() as session:
            row = find_domain(session, actor, reference)
        return self._sight.book.drifts(row.id, row.tenant_id, limit)

    def mark_verified(self, actor: Actor, reference: str, reason: str) -> DomainView:
        """Take the operator's word for a domain; `reason` goes into the audit.

        Raises NotFound, Invalid (no reason), Conflict (active already, or another tenant holds it),
        Forbidden (another caller than the operator).
        """
        words = reason.strip()
        if not words or len(words) > _LONGEST_REASON:
            raise Invalid(
                "no-reason",
                "Marking a domain as verified needs a reason.",
                f"Say in --reason why, in at most {_LONGEST_REASON} characters: it is kept in the audit.",
            )
        with self._writes.change(actor) as change:
            row = _living(find_domain(change.session, actor, reference))
            operator_only(
                actor,
                f"Only the operator's word can stand for DNS: {row.name} has to be proved.",
                f"Publish what `gatepost domain records {row.name}` shows; it becomes active by itself.",
            )
            if row.state in ("active", "degraded"):
                raise Conflict(
                    "already-verified", f"{row.name} is verified already.", "Nothing is to be done."
                )
            before = domain_view(row)
            hold(change, row, by=f"{actor.kind}:{actor.id}: {words}")
            row.enter("active", change.now)
            after = _audited(change, "domain.mark-verified", before, row, reason=words)
            promote_addresses(change, row)
            return after

    def promote(self, actor: Actor, reference: str) -> Promotion:
        """Give the accounts that wait for an active domain their addresses on it.

        It happens by itself when the domain becomes active; this is for what was in the way then. Raises
        NotFound, Conflict (the domain is not active).
        """
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, reference)
            if row.state not in ("active", "degraded"):
                raise Conflict(
                    "domain-not-active",
                    f"{row.name} is {row.state}: nobody has an address there yet.",
                    f"`gatepost domain verify {row.name}` looks at DNS; accounts follow by themselves.",
                )
            promotion = promote_addresses(change, row)
            change.result = payload(promotion)
            return promotion

    def waiting(self, actor: Actor, reference: str) -> tuple[WaitingAddress, ...]:
        """The addresses that accounts get once this domain is active, oldest first. Raises NotFound."""
        with self._writes.view() as session:
            return waiting_for(session, find_domain(session, actor, reference).id)

    # For other services, inside their transactions

    def create(
        self,
        change: ControlChange,
        owner: TenantRow,
        name: str,
        *,
        environment: Environment,
        kind: DomainKind,
        material: KeyMaterial,
        mode: str = "send",
    ) -> DomainRow:
        """Store a domain and its first key; trial and platform domains are active at once."""
        ours = kind != "custom"
        row = DomainRow(
            id=change.ids.uuid(),
            name=name,
            tenant_id=owner.id,
            environment=environment,
            kind=kind,
            state="active" if ours else "pending",
            mode=mode,
            challenge=base64.b32encode(change.ids.raw()).decode().rstrip("=").lower(),
            verified_at=change.now if ours else None,
            verified_by="platform" if ours else None,
            metadata_={},
            created_at=change.now,
            updated_at=change.now,
            state_at=change.now,
        )
        change.add(row)
        change.changed("domain", row.id, tenant_id=row.tenant_id)
        if in_fixed_set(row, self._settings):
            self._keys.hand_out(change, row)
        else:
            self._keys.add(change, material, row, state="active")
        return row

    def create_trial(
        self, change: ControlChange, owner: TenantRow, environment: Environment, material: KeyMaterial
    ) -> DomainRow:
        """Store a tenant's trial domain. Raises Conflict if it has one in this environment."""
        name = self._trial_name(change.session, owner, environment)
        return self.create(change, owner, name, environment=environment, kind="trial", material=material)

    def _trial_name(self, session: Session, owner: TenantRow, environment: Environment) -> str:
        """What a tenant's trial domain is called. Raises Conflict if it has one in this environment."""
        label = owner.slug if environment == "production" else f"{owner.slug}-{environment}"
        name = f"{label}.{self._settings.trial_zone}"
        if holder(session, name) is not None:
            raise Conflict(
                "domain-exists", f"{owner.name} has {name} already.", f"`gatepost domain show {name}`."
            )
        return name

    def refuse_unclaimable(self, name: str) -> None:
        """Raises Invalid for a name (A-labels) that no tenant may claim: a public suffix, the platform's own.

        It says the same whether somebody has the name or nobody.
        """
        if len(name) > _LONGEST_CUSTOM:
            raise Invalid(
                "bad-domain-name",
                f"{shown(name)} cannot be a domain: it has {len(name)} octets, and the names of its records "
                f"have room up to {_LONGEST_CUSTOM} only.",
                "Give a name above it.",
            )
        if is_public(name):
            raise Invalid(
                "public-suffix",
                f"{name} is a public suffix: names below it belong to many owners.",
                "Give a name below it, such as acme." + name + ".",
            )
        for ours in (self._settings.trial_zone, self._settings.hostname):
            if is_below(name, ours):
                raise Invalid(
                    "platform-name", f"{name} belongs to the platform.", "Give a domain that the tenant owns."
                )

    def _custom_name(self, text: str) -> str:
        name = parse_name(text)
        self.refuse_unclaimable(name)
        return name


def _living(row: DomainRow) -> DomainRow:
    """The domain, unless it is being deleted. Raises Conflict."""
    if row.purge_at is not None:
        fix = f"`gatepost domain restore {row.name}` first."
        raise Conflict("domain-deleting", f"{row.name} is being deleted.", fix)
    return row


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise Invalid("bad-mode", f"{shown(mode)} is no mode.", f"Choose {' or '.join(MODES)}.")


def _audited(
    change: ControlChange, operation: str, before: DomainView | None, row: DomainRow, **more: str
) -> DomainView:
    row.updated_at = change.now
    change.session.flush()
    after = domain_view(row)
    record(change, operation, "domain", before, after, **more)
    return after
