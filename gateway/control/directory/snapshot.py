"""All that is held in memory whole: tenants, workspaces, domains, shards, keys and policy documents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway.control.directory.table import Table
from gateway.control.policies.effective import EffectivePolicy
from gateway.control.records import DomainRecord, KeyRecord, ShardRecord, TenantRecord, WorkspaceRecord


class Policies(Protocol):
    """All policy documents and plans, ready to be resolved."""

    def effective(self, tenant: TenantRecord, workspace: WorkspaceRecord) -> EffectivePolicy:
        """What binds an account of `tenant` in `workspace`; quick when asked again."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read of each kind: a record, or None for one that is gone, by id."""

    tenants: dict[str, TenantRecord | None] = field(default_factory=dict)
    workspaces: dict[str, WorkspaceRecord | None] = field(default_factory=dict)
    domains: dict[str, DomainRecord | None] = field(default_factory=dict)
    shards: dict[str, ShardRecord | None] = field(default_factory=dict)
    keys: dict[str, KeyRecord | None] = field(default_factory=dict)
    policies: Policies | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The control plane at one revision. Never changed once made; `with_rows` makes the next."""

    revision: int
    tenants: Table[bool, TenantRecord]
    workspaces: Table[str | None, WorkspaceRecord]
    domains: Table[str, DomainRecord]
    shards: Table[tuple[str, str], ShardRecord]
    keys: Table[str, KeyRecord]
    policies: Policies | None
    # Tells snapshots apart without keeping an old one alive: revisions repeat when a backup is put back.
    token: object = field(default_factory=object)

    @classmethod
    def empty(cls) -> Snapshot:
        """Before anything was read."""
        return cls(
            revision=0,
            tenants=Table(lambda tenant: tenant.is_platform),
            workspaces=Table(lambda workspace: workspace.tenant_id),
            domains=Table(lambda domain: domain.name),
            shards=Table(lambda shard: (shard.tenant_id, shard.environment)),
            keys=Table(lambda key: key.domain),
            policies=None,
        )

    def with_rows(self, revision: int, rows: Rows) -> Snapshot:
        """The control plane at `revision`, these rows having changed since."""
        return replace(
            self,
            revision=revision,
            tenants=self.tenants.with_changes(rows.tenants),
            workspaces=self.workspaces.with_changes(rows.workspaces),
            domains=self.domains.with_changes(rows.domains),
            shards=self.shards.with_changes(rows.shards),
            keys=self.keys.with_changes(rows.keys),
            policies=rows.policies or self.policies,
            token=object(),
        )

    def effective_policy(self, tenant: TenantRecord, workspace: WorkspaceRecord) -> EffectivePolicy:
        """What binds an account of `tenant` in `workspace`. Raises LookupError if a document is missing."""
        if self.policies is None:
            raise LookupError("the directory was asked for a policy before it was read")
        return self.policies.effective(tenant, workspace)
