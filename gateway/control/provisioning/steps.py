"""What one request does, inside one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.addresses import parse_address, primary_domain
from gateway.control.accounts.model import AccountRow
from gateway.control.accounts.promotion import await_address, awaited_by
from gateway.control.accounts.view import AccountView, account_view
from gateway.control.credentials.service import NewPassword
from gateway.control.domains.dnsrecords import records_of
from gateway.control.domains.find import holder
from gateway.control.domains.model import DomainRow
from gateway.control.domains.names import parse_name
from gateway.control.domains.view import DomainView
from gateway.control.errors import Conflict
from gateway.control.lookup import parse_environment
from gateway.control.plans.model import PlanRow
from gateway.control.policies import Sharding
from gateway.control.provisioning.fixes import next_steps
from gateway.control.provisioning.look import READY, known_account, known_tenant, named_domain, trial_domain
from gateway.control.provisioning.values import Provisioned, ProvisionedDomain, ProvisionRequest
from gateway.control.recording import payload
from gateway.control.records import Actor
from gateway.control.shards.model import ShardRow
from gateway.control.shards.view import ShardView, shard_view
from gateway.control.tenants.find import changeable_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange
from gateway.control.workspaces.model import WorkspaceRow

if TYPE_CHECKING:
    from gateway.control.services import ControlServices

_SHARD_LABELS = ("s1.mail",)
"""What the first shard is called where the policy names none: without one nothing could be sent."""


class Steps:
    """The steps of one request; `services` are joined to the transaction `change`."""

    def __init__(self, services: ControlServices, change: ControlChange, actor: Actor) -> None:
        self._services = services
        self._change = change
        self._session: Session = change.session
        self._actor = actor
        self._made: set[str] = set()

    def run(
        self, request: ProvisionRequest, password: NewPassword | None, *, by_address: bool = False
    ) -> Provisioned:
        """Do what is missing of a request. Raises Invalid, NotFound, Conflict, Forbidden."""
        parse_environment(request.environment)
        tenant = self._tenant(request)
        known = known_account(self._session, self._actor, tenant, request, by_address=by_address)
        if known is not None:
            return self.existing(known)
        custom = self._custom(tenant, request)
        home = custom if custom is not None and custom.state in READY else self._trial(tenant, request)
        account = self._account(tenant, request, home, custom)
        self._shards(tenant, account, home, custom)
        text = self._password(account, password)
        described = self._described(account, custom or home)
        # What a repetition gets: nobody can show a password again.
        self._change.result = payload(described)
        if text is None:
            return described
        return replace(described, app_password=text, fix=next_steps(account, tenant, has_password=True))

    def existing(self, row: AccountRow) -> Provisioned:
        """An account that is there, unchanged. Raises Conflict for one that is being deleted."""
        if row.status == "deleting":
            raise Conflict(
                "account-deleting",
                f"{row.address} is being deleted.",
                f"`gatepost account restore {row.address}` has it back as it was.",
            )
        waiting = awaited_by(self._session, row.id)
        account = account_view(self._session, row)
        if waiting:
            domain = self._session.get_one(DomainRow, waiting[0].domain_id)
        else:
            domain = self._domain_of(account)
        return replace(self._described(account, domain), created=False)

    def _tenant(self, request: ProvisionRequest) -> TenantRow:
        wanted = request.tenant
        row = known_tenant(self._session, self._actor, wanted)
        if row is not None:
            return changeable_tenant(self._session, self._actor, row.id)
        made = self._services.tenants.register(
            self._actor,
            wanted.name or "",
            plan=wanted.plan,
            contacts=wanted.contacts,
            client_id=wanted.client_id,
            metadata=wanted.metadata,
        )
        return self._session.get_one(TenantRow, made.id)

    def _custom(self, tenant: TenantRow, request: ProvisionRequest) -> DomainRow | None:
        """The domain that was asked for by name, claimed if it is new."""
        if request.domain is None:
            return None
        name = parse_name(request.domain)
        row = named_domain(self._session, tenant, name)
        if row is None:
            # Before anybody is asked who has it: trial names are made of the names of tenants.
            self._services.domains.refuse_unclaimable(name)
        other = holder(self._session, name)
        if other is not None and other.tenant_id != tenant.id:
            raise Conflict(
                "domain-held",
                f"{name} belongs to another tenant, which has proved it.",
                "Name another domain, or none for a trial name.",
            )
        if row is None:
            made = self._services.domains.add(
                self._actor, request.domain, tenant=tenant.id, environment=request.environment
            )
            return self._new_domain(made)
        if row.purge_at is not None:
            raise Conflict("domain-deleting", f"{row.name} is being deleted.", "Restore it first.")
        if row.environment != request.environment:
            raise Conflict(
                "environment-differs",
                f"{row.name} is of the environment {row.environment}, the request of {request.environment}.",
                f"Environments never mix: say {row.environment}, or use a sub-domain for another one.",
            )
        return row

    def _trial(self, tenant: TenantRow, request: ProvisionRequest) -> DomainRow:
        row = trial_domain(self._session, tenant, request.environment)
        if row is not None:
            return row
        made = self._services.domains.add_trial(
            self._actor, tenant=tenant.id, environment=request.environment
        )
        return self._new_domain(made)

    def _new_domain(self, made: DomainView) -> DomainRow:
        self._made.add(made.id)
        return self._session.get_one(DomainRow, made.id)

    def _account(
        self, tenant: TenantRow, request: ProvisionRequest, home: DomainRow, custom: DomainRow | None
    ) -> AccountView:
        wanted = request.account
        view = self._services.accounts.create(
            self._actor,
            f"{wanted.local_part}@{home.name}",
            tenant=tenant.id,
            workspace=request.workspace,
            smtp=request.smtp,
            imap=request.imap,
            display_name=wanted.display_name,
            client_id=wanted.client_id,
            metadata=wanted.metadata,
            assigned_as=custom.name if custom is not None else None,
        )
        if custom is not None and custom.id != home.id:
            await_address(self._change, view.id, custom, parse_address(f"{wanted.local_part}@{custom.name}"))
        return view

    def _shards(
        self, tenant: TenantRow, account: AccountView, home: DomainRow, custom: DomainRow | None
    ) -> None:
        """Make the shards that the tenant needs for these domains, as the account's policy says."""
        needing = [domain for domain in (home, custom) if domain is not None and self._needs_shard(domain)]
        if not needing:
            return
        sharding = self._sharding(tenant, account)
        for domain in dict.fromkeys(needing):
            # Where the account sends from now there must be one, whatever the zone.
            if domain is home or sharding.zone == "tenant":
                for label in sharding.names or _SHARD_LABELS:
                    self._shard(tenant, domain, label)

    def _needs_shard(self, domain: DomainRow) -> bool:
        """A domain made just now, or any of a tenant that has no shard in the environment."""
        if domain.id in self._made:
            return True
        here = sa.select(ShardRow.id).where(
            ShardRow.tenant_id == domain.tenant_id,
            ShardRow.environment == domain.environment,
            ShardRow.state != "retired",
        )
        return self._session.scalar(here.limit(1)) is None

    def _sharding(self, tenant: TenantRow, account: AccountView) -> Sharding:
        workspace = self._session.get_one(WorkspaceRow, account.workspace_id)
        plan = self._session.get_one(PlanRow, tenant.plan_id)
        policies = self._services.policies.policy_set()
        return policies.resolve(workspace.policy, plan.name, shared=workspace.tenant_id is None).sharding

    def _shard(self, tenant: TenantRow, domain: DomainRow, label: str) -> None:
        """One shard; where another tenant that claims the domain took the name, the next one is taken."""
        first, dot, rest = label.partition(".")
        name, number = f"{label}.{domain.name}", 2
        while self._session.scalar(sa.select(ShardRow.id).where(ShardRow.name == name)) is not None:
            name, number = f"{first}-{number}{dot}{rest}.{domain.name}", number + 1
        self._services.shards.create(self._actor, name, tenant=tenant.id, environment=domain.environment)

    def _password(self, account: AccountView, password: NewPassword | None) -> str | None:
        if password is None:
            return None
        _, text = self._services.credentials.create(self._actor, account.id, prepared=password)
        return text

    def _described(self, account: AccountView, domain: DomainRow) -> Provisioned:
        waiting = awaited_by(self._session, account.id)
        records = records_of(self._session, domain, self._services.settings)
        tenant = self._session.get_one(TenantRow, account.tenant_id)
        return Provisioned(
            grant_id=account.id,
            address=account.address,
            pending_address=waiting[0].address if waiting else None,
            status=account.status if tenant.status == "active" else tenant.status,
            environment=account.environment,
            tenant_id=account.tenant_id,
            workspace_id=account.workspace_id,
            workspace=account.workspace,
            assignment=account.assignment,
            domain=ProvisionedDomain(domain.id, domain.name, domain.state, records),
            shard=self._sending_shard(account),
            login=account.address,
            app_password=None,
            fix=next_steps(account, tenant, has_password=False),
        )

    def _sending_shard(self, account: AccountView) -> ShardView | None:
        """The oldest shard under the address's domain, else the tenant's oldest of that environment."""
        domain = self._domain_of(account)
        statement = sa.select(ShardRow).where(
            ShardRow.tenant_id == account.tenant_id,
            ShardRow.environment == account.environment,
            ShardRow.state != "retired",
        )
        nearest = sa.case((ShardRow.domain_id == domain.id, 0), else_=1)
        row = self._session.scalars(statement.order_by(nearest, ShardRow.id).limit(1)).one_or_none()
        return shard_view(self._session, row) if row is not None else None

    def _domain_of(self, account: AccountView) -> DomainRow:
        return primary_domain(self._session, self._session.get_one(AccountRow, account.id))
