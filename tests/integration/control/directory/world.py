"""A small control plane written row by row, for tests that must not depend on every service."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy.engine import Connection

from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.base import Base
from gateway.control.directory import Directory
from gateway.control.domains.model import DomainRow
from gateway.control.installation.model import HeadRow
from gateway.control.keys.model import KeyRow
from gateway.control.plans.model import PlanRow
from gateway.control.policies.effective import EffectivePolicy
from gateway.control.records import Actor, TenantRecord, WorkspaceRecord
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import SourceRow
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlWrites
from gateway.control.workspaces.model import WorkspaceRow
from gateway.system.clock import Clock, SystemClock
from gateway.system.database import Database
from gateway.system.ids import IdSource

ACTOR = Actor("cli", "tester")


class NamedPolicies:
    """Policies of which only the name matters."""

    def effective(self, tenant: TenantRecord, workspace: WorkspaceRecord) -> EffectivePolicy:
        """A policy with the workspace's policy's name."""
        return EffectivePolicy(workspace.policy, 1)


def named_policies(connection: Connection) -> NamedPolicies:
    """Reads nothing."""
    return NamedPolicies()


class World:
    """Writes through ControlWrites, as the services do, each call one transaction."""

    def __init__(self, database: Database) -> None:
        self._join(database)
        with database.write() as connection:
            connection.execute(
                HeadRow.__table__.insert().values(id=1, revision=0, audit_number=0, audit_hash="")  # type: ignore[attr-defined]
            )
        self.plan = self.add(
            "plan", PlanRow, name="standard", document="", version=1, created_at=0.0, updated_at=0.0
        )

    @classmethod
    def reopened(cls, database: Database) -> World:
        """The same control plane through another process's database."""
        world = cls.__new__(cls)
        world._join(database)
        return world

    def _join(self, database: Database) -> None:
        self.database = database
        self.clock = SystemClock()
        self.ids = IdSource(self.clock)
        self.writes = ControlWrites(database, self.clock, self.ids, b"a" * 32)

    def directory(self, clock: Clock | None = None, **options: Any) -> Directory:
        """A directory on the same database, not started."""
        return Directory(self.database, clock=clock or self.clock, read_policies=named_policies, **options)

    def add(self, kind: str, row_type: type[Base], /, **values: Any) -> Any:
        """Add a row of `kind`, with a fresh id; returns it."""
        with self.writes.change(ACTOR) as change:
            row = row_type(**({"id": self.ids.uuid()} | values))
            change.session.add(row)
            account = row if kind == "account" else None
            change.changed(
                kind,
                cast(Any, row).id,
                tenant_id=values.get("tenant_id"),
                account_id=account.id if account is not None else None,
            )
        return row

    def update(self, kind: str, row: Any, /, **values: Any) -> None:
        """Change columns of a row, in its own transaction and in the change log."""
        with self.writes.change(ACTOR) as change:
            found = change.session.get_one(type(row), row.id)
            for name, value in values.items():
                setattr(found, name, value)
            account_id = row.id if kind == "account" else None
            change.changed(kind, row.id, tenant_id=getattr(row, "tenant_id", None), account_id=account_id)

    def delete(self, kind: str, row: Any) -> None:
        """Take a row out."""
        with self.writes.change(ACTOR) as change:
            change.session.delete(change.session.get_one(type(row), row.id))
            change.changed(kind, row.id)

    def tenant(self, name: str = "acme", **values: Any) -> Any:
        """A tenant with one workspace, returned as `.row` and `.workspace`."""
        row = self.add(
            "tenant",
            TenantRow,
            **{
                "name": name,
                "name_key": name,
                "slug": name,
                "plan_id": self.plan.id,
                "status": "active",
                "is_platform": False,
                "contacts": [],
                "metadata_": {},
                "created_at": 0.0,
                "updated_at": 0.0,
            }
            | values,
        )
        return SimpleNamespace(row=row, id=row.id, workspace=self.workspace(row.id, name))

    def workspace(self, tenant_id: str, name: str, **values: Any) -> Any:
        """A workspace of a tenant."""
        return self.add(
            "workspace",
            WorkspaceRow,
            **{
                "name": name,
                "name_key": name,
                "owner": tenant_id,
                "tenant_id": tenant_id,
                "environment": "production",
                "location": "default",
                "policy": "default",
                "is_default": False,
                "metadata_": {},
                "created_at": 0.0,
                "updated_at": 0.0,
            }
            | values,
        )

    def domain(self, tenant_id: str, name: str, state: str = "active") -> Any:
        """A domain of a tenant."""
        return self.add(
            "domain",
            DomainRow,
            name=name,
            tenant_id=tenant_id,
            environment="production",
            kind="custom",
            state=state,
            mode="send",
            challenge="x",
            metadata_={},
            created_at=0.0,
            updated_at=0.0,
        )

    def key(self, domain: Any, selector: str, state: str = "active") -> Any:
        """A DKIM key of a domain."""
        return self.add(
            "key",
            KeyRow,
            tenant_id=domain.tenant_id,
            domain_id=domain.id,
            domain=domain.name,
            selector=selector,
            algorithm="rsa-sha256",
            bits=2048,
            state=state,
            sealed=b"sealed",
            public_key="p",
            created_at=0.0,
        )

    def source(self, helo: str, ipv4: str) -> Any:
        """A source address."""
        return self.add(
            "source",
            SourceRow,
            helo=helo,
            ipv4=ipv4,
            pool="default",
            plans=[],
            state="active",
            created_at=0.0,
            updated_at=0.0,
        )

    def shard(self, tenant_id: str, name: str, **values: Any) -> Any:
        """A shard of a tenant that captures."""
        return self.add(
            "shard",
            ShardRow,
            **{
                "name": name,
                "tenant_id": tenant_id,
                "environment": "production",
                "route": "capture:",
                "weight": 1,
                "streams": [],
                "state": "active",
                "sign": False,
                "metadata_": {},
                "created_at": 0.0,
                "updated_at": 0.0,
            }
            | values,
        )

    def account(self, tenant: Any, domain: Any, address: str, *aliases: str, **values: Any) -> Any:
        """An account with SMTP on, in the tenant's workspace."""
        row = self.add(
            "account",
            AccountRow,
            **{
                "tenant_id": tenant.id,
                "workspace_id": tenant.workspace.id,
                "workspace_owner": tenant.workspace.owner,
                "environment": "production",
                "assignment": "auto",
                "address": address,
                "status": "active",
                "smtp": True,
                "imap": False,
                "epoch": 1,
                "home_location": "default",
                "metadata_": {},
                "created_at": 0.0,
                "updated_at": 0.0,
            }
            | values,
        )
        with self.writes.change(ACTOR) as change:
            for n, text in enumerate((address, *aliases)):
                change.session.add(
                    AccountAddressRow(
                        key=text.lower(),
                        address=text,
                        account_id=row.id,
                        tenant_id=tenant.id,
                        environment="production",
                        domain_id=domain.id,
                        is_primary=n == 0,
                        created_at=0.0,
                    )
                )
            change.changed("account", row.id, tenant_id=tenant.id, account_id=row.id)
        return row
