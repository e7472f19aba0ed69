"""The control plane as intake and relay look at it: the directory, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.control.directory import Directory, Refused
from gateway.control.policies import EffectivePolicy
from gateway.control.records import DomainRecord, Identity, KeyRecord, ShardRecord, TenantRecord


class ControlWindow:
    """Passes questions on to the directory; sets of closed shards and tenants are made once per revision."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._revision = -1
        self._paused: frozenset[str] = frozenset()
        self._suspended: frozenset[str] = frozenset()

    @property
    def platform(self) -> TenantRecord:
        """The tenant that owns the installation's own domain."""
        return self._directory.platform

    def is_fresh(self) -> bool:
        """Whether the database confirmed what is held, less than 2 s ago."""
        return self._directory.is_fresh()

    def tenant(self, tenant_id: str) -> TenantRecord | None:
        """A tenant by id."""
        return self._directory.tenant(tenant_id)

    def shard(self, shard_id: str) -> ShardRecord | None:
        """A shard by id."""
        return self._directory.shard(shard_id)

    def shards_of(self, tenant_id: str, environment: str) -> tuple[ShardRecord, ...]:
        """A tenant's shards in one environment."""
        return self._directory.shards_of(tenant_id, environment)

    def domain(self, name: str) -> DomainRecord | None:
        """The domain of this name that somebody holds, else a claim to it."""
        return self._directory.domain(name)

    def claims(self, name: str) -> Sequence[DomainRecord]:
        """All claims to a domain name, of any tenant."""
        return self._directory.domains_named(name)

    def key(self, key_id: str) -> KeyRecord | None:
        """A DKIM key by id."""
        return self._directory.key(key_id)

    def keys_of(self, domain_name: str) -> tuple[KeyRecord, ...]:
        """The DKIM keys of a domain, in every state."""
        return self._directory.keys_of(domain_name)

    def effective_policy(self, tenant_id: str, workspace_id: str) -> EffectivePolicy:
        """What binds this tenant's accounts in this workspace."""
        return self._directory.effective_policy(tenant_id, workspace_id)

    def identity_now(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused | None:
        """Who this is now, from memory alone."""
        return self._directory.identity_now(account_id, credential_id, protocol)

    async def identity(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused:
        """Who this is now, read if it must be."""
        return await self._directory.identity(account_id, credential_id, protocol)

    def paused_shards(self) -> frozenset[str]:
        """Ids of shards whose mail waits."""
        self._derive()
        return self._paused

    def suspended_tenants(self) -> frozenset[str]:
        """Ids of tenants whose mail waits."""
        self._derive()
        return self._suspended

    def _derive(self) -> None:
        revision = self._directory.revision
        if revision == self._revision:
            return
        self._paused = frozenset(shard.id for shard in self._directory.shards() if shard.state == "paused")
        self._suspended = frozenset(
            tenant.id for tenant in self._directory.tenants() if tenant.status != "active"
        )
        self._revision = revision
