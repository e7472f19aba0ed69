"""The control plane's services in one bundle: what the command line and the API call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from gateway.control.accounts.service import AccountService
from gateway.control.apikeys.service import ApiKeyService
from gateway.control.audit.history import AuditHistory
from gateway.control.audit.service import AuditService
from gateway.control.bootstrap import Bootstrap
from gateway.control.credentials.service import CredentialService
from gateway.control.declarations.service import DeclarationService
from gateway.control.deletion.service import DeletionService
from gateway.control.domains.delegation import DelegationService
from gateway.control.domains.pages import DomainPages
from gateway.control.domains.service import DomainService
from gateway.control.domains.watch.local import local_sight
from gateway.control.domains.watch.sight import DomainSight, Turns
from gateway.control.installation.rotation import MasterKeyService
from gateway.control.installation.service import Installation
from gateway.control.installation.vault import Vault
from gateway.control.keys.material import KeyMaker, make_key
from gateway.control.keys.service import KeyService
from gateway.control.lists.service import ListService
from gateway.control.overview import Overview
from gateway.control.plans.service import PlanService
from gateway.control.policies.checks import require_within_plan
from gateway.control.policies.memory import PolicyMemory
from gateway.control.policies.service import PolicyService, find_choosable
from gateway.control.policies.store import read_policy_set
from gateway.control.provisioning.service import ProvisioningService
from gateway.control.raises.service import RaiseService
from gateway.control.records import Actor
from gateway.control.settings import ControlSettings
from gateway.control.shards.service import ShardService
from gateway.control.sources.service import SourceService
from gateway.control.tenants.service import TenantService
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.webhooks.service import WebhookService
from gateway.control.workspaces.service import WorkspaceService
from gateway.system.authority import AuthoritySettings

if TYPE_CHECKING:
    from gateway.system.clock import Clock
    from gateway.system.database import Database
    from gateway.system.ids import IdSource
    from gateway.system.secrets import MasterKey


@dataclass(frozen=True, slots=True)
class ControlServices:
    """Every service, over one database. Make it with `open`; the database stays the caller's to close."""

    writes: ControlWrites
    installation: Installation
    tenants: TenantService
    workspaces: WorkspaceService
    policies: PolicyService
    plans: PlanService
    accounts: AccountService
    credentials: CredentialService
    domains: DomainService
    pages: DomainPages
    keys: KeyService
    shards: ShardService
    sources: SourceService
    webhooks: WebhookService
    audit: AuditService
    history: AuditHistory
    overview: Overview
    master_key: MasterKeyService
    settings: ControlSettings
    api_keys: ApiKeyService
    raises: RaiseService
    lists: ListService
    deletion: DeletionService
    delegations: DelegationService
    _build: _Builder = field(repr=False)

    @classmethod
    def open(
        cls,
        database: Database,
        master_key: MasterKey,
        settings: ControlSettings,
        clock: Clock,
        ids: IdSource,
        *,
        sight: DomainSight | None = None,
        make_key: KeyMaker = make_key,
    ) -> ControlServices:
        """Check the master key against the (upgraded) database and build the services.

        `sight`: how domains are looked at, by the system's resolver and without a memory unless given.
        Raises SecretError, DatabaseAway.
        """
        installation = Installation.open(database, master_key, clock)
        writes = ControlWrites(database, clock, ids, installation.durable_key("audit"))
        sight = sight or local_sight(AuthoritySettings(), clock)
        build = _Builder(installation, master_key, settings, sight, Turns(clock), PolicyMemory())
        return build(writes, make_key)

    @property
    def provisioning(self) -> ProvisioningService:
        """Onboarding in one request: it uses the other services."""
        return ProvisioningService(self)

    @property
    def declarations(self) -> DeclarationService:
        """What files say is to be there: it uses the other services."""
        return DeclarationService(self)

    def within(self, change: ControlChange, *, make_key: KeyMaker = make_key) -> ControlServices:
        """The same services inside a transaction that is going on: what they change becomes part of it.

        Keys are slow to make: give a `make_key` that has them ready.
        """
        return self._build(self.writes.joined(change), make_key)

    def bootstrap(self) -> None:
        """Make the installation's first rows, or add what a new version or host name needs. Idempotent."""
        Bootstrap(
            self.writes,
            self.settings,
            policies=self.policies,
            tenants=self.tenants,
            workspaces=self.workspaces,
            domains=self.domains,
            keys=self.keys,
            shards=self.shards,
        ).run()


@dataclass(frozen=True, slots=True)
class _Builder:
    """Puts the services together over one kind of writes."""

    installation: Installation
    master_key: MasterKey
    settings: ControlSettings
    sight: DomainSight
    turns: Turns
    memory: PolicyMemory

    def __call__(self, writes: ControlWrites, make_key: KeyMaker) -> ControlServices:
        vault, gate, settings = Vault(self.master_key), _PolicyGate(), self.settings
        keys = KeyService(writes, vault, make_key, settings)
        domains = DomainService(writes, keys, settings, self.sight, self.turns)
        shards = ShardService(writes, keys, vault, settings)
        return ControlServices(
            writes=writes,
            installation=self.installation,
            tenants=TenantService(writes, domains, shards, keys),
            workspaces=WorkspaceService(writes, gate, settings),
            policies=PolicyService(writes, settings.locations, self.memory),
            plans=PlanService(writes),
            accounts=AccountService(writes),
            credentials=CredentialService(writes, tag_key=self.installation.durable_key("credential-tag")),
            domains=domains,
            pages=DomainPages(writes, self.installation.durable_key("domain-page"), domains.checked),
            keys=keys,
            shards=shards,
            sources=SourceService(writes),
            webhooks=WebhookService(writes, vault, allow_private=settings.private_webhooks),
            audit=AuditService(writes, self.installation.durable_key("audit")),
            history=AuditHistory(writes),
            overview=Overview(writes),
            master_key=MasterKeyService(writes, self.master_key),
            settings=settings,
            api_keys=ApiKeyService(writes),
            raises=RaiseService(writes),
            lists=ListService(writes),
            deletion=DeletionService(writes, settings),
            delegations=DelegationService(writes),
            _build=self,
        )


class _PolicyGate:
    """What workspaces and tenants ask of the policies' room."""

    def chosen(self, session: Session, actor: Actor, policy: str, plan: str | None, workspace: str) -> str:
        """See gateway.control.workspaces.rules.PolicyRules."""
        name = find_choosable(session, actor, policy).name
        if plan is not None:
            require_within_plan(read_policy_set(session), name, plan, workspace)
        return name
