"""All that is held in memory whole: tenants, workspaces, domains, shards, keys, raises, lists, documents."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from gateway.control.directory.table import Table
from gateway.control.lists.model import SHARED
from gateway.control.policies.effective import EffectivePolicy, Limit
from gateway.control.raises.applied import with_raises
from gateway.control.records import (
    NO_LISTS,
    AccountRecord,
    DomainRecord,
    KeyRecord,
    ListRecord,
    ListsInReach,
    RaiseRecord,
    ShardRecord,
    TenantRecord,
    WorkspaceRecord,
)


class Policies(Protocol):
    """All policy documents and plans, ready to be resolved."""

    def effective(self, tenant: TenantRecord, workspace: WorkspaceRecord) -> EffectivePolicy:
        """What binds an account of `tenant` in `workspace`; quick when asked again."""
        ...

    def ceiling(self, plan: str, key: str) -> Limit | None:
        """What the plan itself (or one it extends) sets as a limit, by its dotted key."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read of each kind: a record, or None for one that is gone, by id."""

    tenants: dict[str, TenantRecord | None] = field(default_factory=dict)
    workspaces: dict[str, WorkspaceRecord | None] = field(default_factory=dict)
    domains: dict[str, DomainRecord | None] = field(default_factory=dict)
    shards: dict[str, ShardRecord | None] = field(default_factory=dict)
    keys: dict[str, KeyRecord | None] = field(default_factory=dict)
    raises: dict[str, RaiseRecord | None] = field(default_factory=dict)
    lists: dict[str, ListRecord | None] = field(default_factory=dict)
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
    raises: Table[str, RaiseRecord]
    lists: Table[str, ListRecord]
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
            # A domain's by its id: trial domains may sign as the zone they lie under.
            keys=Table(lambda key: key.domain_id or key.domain),
            raises=Table(lambda one: one.tenant_id),
            lists=Table(lambda one: one.owner),
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
            raises=self.raises.with_changes(rows.raises),
            lists=self.lists.with_changes(rows.lists),
            policies=rows.policies or self.policies,
            token=object(),
        )

    def effective_policy(self, tenant: TenantRecord, workspace: WorkspaceRecord) -> EffectivePolicy:
        """What binds an account of `tenant` in `workspace`. Raises LookupError if a document is missing."""
        if self.policies is None:
            raise LookupError("the directory was asked for a policy before it was read")
        return self.policies.effective(tenant, workspace)

    def raised_policy(
        self, account: AccountRecord, tenant: TenantRecord, workspace: WorkspaceRecord, now: float
    ) -> tuple[EffectivePolicy, float]:
        """What binds the account at `now`, raised limits included, and until when that holds.

        Raises LookupError if a document is missing.
        """
        policy = self.effective_policy(tenant, workspace)
        raises = self.raises.group(tenant.id)
        if not raises or self.policies is None:
            return policy, math.inf
        return with_raises(policy, raises, account.id, partial(self.policies.ceiling, tenant.plan), now)

    def lists_of(self, tenant_id: str) -> ListsInReach:
        """The lists that a tenant's rules may name."""
        if not len(self.lists):
            return NO_LISTS
        own, shared = ({one.name: one for one in self.lists.group(owner)} for owner in (tenant_id, SHARED))
        return ListsInReach(own, shared)
