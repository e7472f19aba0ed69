"""The first rows of an installation: packaged documents, the platform's tenant, the shared workspaces.

Runs at every start and adds what is missing: a new version's documents, a new host name's domain.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.model import DomainRow
from gateway.control.domains.service import DomainService
from gateway.control.keys.service import KeyService
from gateway.control.plans.service import find_plan
from gateway.control.policies.service import PolicyService
from gateway.control.records import Actor, Environment
from gateway.control.settings import ControlSettings
from gateway.control.shards.service import ShardService
from gateway.control.tenants.model import TenantRow
from gateway.control.tenants.service import TenantService
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.workspaces.model import SHARED, WorkspaceRow
from gateway.control.workspaces.service import WorkspaceService

SYSTEM = Actor(kind="system", id="bootstrap")
PLATFORM = "platform"

# The platform's defaults: environment, name of the workspace, name of its policy.
_WORKSPACES: tuple[tuple[Environment, str, str], ...] = (
    ("production", "default", "default"),
    ("staging", "staging", "staging"),
    ("development", "development", "development"),
)
_PLAN = "enterprise"


class Bootstrap:
    """Makes an installation's first rows; safe to run again, and by several nodes at once."""

    def __init__(
        self,
        writes: ControlWrites,
        settings: ControlSettings,
        *,
        policies: PolicyService,
        tenants: TenantService,
        workspaces: WorkspaceService,
        domains: DomainService,
        keys: KeyService,
        shards: ShardService,
    ) -> None:
        self._writes = writes
        self._settings = settings
        self._policies = policies
        self._tenants = tenants
        self._workspaces = workspaces
        self._domains = domains
        self._keys = keys
        self._shards = shards

    def run(self) -> None:
        """Add what is missing, in one transaction. Raises DatabaseAway, InvalidDocuments."""
        with self._writes.view() as session:
            has_domain = _platform_domain(session, self._settings.hostname) is not None
        material = None if has_domain else self._keys.make()
        with self._writes.change(SYSTEM) as change:
            loaded = self._policies.load_defaults(change)
            platform = self._platform(change)
            for environment, name, policy in _WORKSPACES:
                self._workspace(change, environment, name, policy)
            if material is None or _platform_domain(change.session, self._settings.hostname) is not None:
                return
            domain = self._domains.create(
                change,
                platform,
                self._settings.hostname,
                environment="production",
                kind="platform",
                material=material,
            )
            shard = self._shards.add(change, platform, f"bounce.{domain.name}", environment="production")
            change.audit(
                "platform.bootstrap",
                "platform",
                platform.id,
                tenant_id=platform.id,
                before=None,
                after={"domain": domain.name, "shard": shard.name, "documents": list(loaded)},
            )
            change.changed("platform", platform.id, tenant_id=platform.id)

    def _platform(self, change: ControlChange) -> TenantRow:
        row = change.session.scalars(sa.select(TenantRow).where(TenantRow.is_platform)).one_or_none()
        if row is None:
            row = self._tenants.add(change, PLATFORM, find_plan(change.session, _PLAN), slug=PLATFORM)
        return row

    def _workspace(self, change: ControlChange, environment: Environment, name: str, policy: str) -> None:
        existing = sa.select(WorkspaceRow.id).where(
            WorkspaceRow.owner == SHARED,
            WorkspaceRow.environment == environment,
            sa.or_(WorkspaceRow.is_default, WorkspaceRow.name_key == name),
        )
        if change.session.scalar(existing.limit(1)) is None:
            row = self._workspaces.add(change, name, None, environment=environment, policy=policy)
            row.is_default = True


def _platform_domain(session: Session, hostname: str) -> DomainRow | None:
    statement = sa.select(DomainRow).where(DomainRow.kind == "platform", DomainRow.name == hostname)
    return session.scalars(statement).one_or_none()
