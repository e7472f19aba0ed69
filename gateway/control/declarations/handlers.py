"""How each kind of thing is found, compared, made and changed: what the platform owns, and tenants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.base import Base
from gateway.control.declarations.values import Value
from gateway.control.domains.model import DomainRow
from gateway.control.lookup import name_key
from gateway.control.plans.model import PlanRow
from gateway.control.records import Actor
from gateway.control.sources.model import SourceRow
from gateway.control.tenants.find import changeable_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.workspaces.model import SHARED, WorkspaceRow
from gateway.control.workspaces.view import workspace_view

if TYPE_CHECKING:
    from gateway.control.services import ControlServices

Fields = Mapping[str, Value]


class Handler(Protocol):
    """One kind of thing, inside a transaction. `owner` is its tenant, None for the platform's own.

    All methods raise ServiceError as the services do.
    """

    def rows(self, owner: TenantRow | None) -> Sequence[Any]:
        """All there are of an owner, by name, but for what is being deleted or gone for good."""
        ...

    def find(self, owner: TenantRow | None, name: str) -> Any | None:
        """The one of this name."""
        ...

    def name(self, row: Any) -> str:
        """What the row is called."""
        ...

    def state(self, row: Any) -> dict[str, Value]:
        """Its fields as files write them."""
        ...

    def create(self, owner: TenantRow | None, name: str, fields: Fields) -> None:
        """Make it."""
        ...

    def update(self, row: Any, fields: Fields) -> None:
        """Change these fields, leave the others."""
        ...


class Room:
    """What every handler works with."""

    def __init__(self, services: ControlServices, session: Session, actor: Actor) -> None:
        self.services = services
        self.session = session
        self.actor = actor

    def name(self, row: Any) -> str:
        """What the row is called."""
        return str(row.name)

    def all_of(self, row_type: type[Base], *conditions: sa.ColumnElement[bool]) -> Sequence[Any]:
        """The rows that meet the conditions."""
        return self.session.scalars(sa.select(row_type).where(*conditions)).all()


class Sources(Room):
    """Source addresses; their name is their HELO name. None is ever deleted: it retires."""

    def rows(self, owner: TenantRow | None) -> Sequence[SourceRow]:  # noqa: ARG002 - the platform's alone
        """See Handler."""
        statement = sa.select(SourceRow).where(SourceRow.state == "active").order_by(SourceRow.helo)
        return self.session.scalars(statement).all()

    def find(self, owner: TenantRow | None, name: str) -> SourceRow | None:  # noqa: ARG002 - the same
        """See Handler."""
        return self.session.scalars(sa.select(SourceRow).where(SourceRow.helo == name)).one_or_none()

    def name(self, row: SourceRow) -> str:
        """See Handler."""
        return row.helo

    def state(self, row: SourceRow) -> dict[str, Value]:
        """See Handler."""
        return {
            "ipv4": row.ipv4,
            "ipv6": row.ipv6,
            "pool": row.pool,
            "plans": tuple(row.plans),
            "state": row.state,
            **common_fields(row),
        }

    def create(self, owner: TenantRow | None, name: str, fields: Fields) -> None:  # noqa: ARG002 - the same
        """See Handler."""
        options: dict[str, Any] = {key: value for key, value in fields.items() if key != "state"}
        made = self.services.sources.create(self.actor, helo=name, **options)
        if fields.get("state") == "retired":
            self.services.sources.retire(self.actor, made.id)

    def update(self, row: SourceRow, fields: Fields) -> None:
        """See Handler."""
        if fields.get("state") == "retired":
            self.delete(row)
        options: dict[str, Any] = {key: value for key, value in fields.items() if key != "state"}
        if options:
            self.services.sources.update(self.actor, row.id, **options)

    def delete(self, row: SourceRow) -> None:
        """See Handler."""
        self.services.sources.retire(self.actor, row.id)


class Tenants(Room):
    """Tenants; the platform's own is none of them."""

    def rows(self, owner: TenantRow | None) -> Sequence[TenantRow]:  # noqa: ARG002 - the platform's alone
        """See Handler."""
        statement = sa.select(TenantRow).where(sa.not_(TenantRow.is_platform), TenantRow.status != "deleting")
        return self.session.scalars(statement.order_by(TenantRow.name_key)).all()

    def find(self, owner: TenantRow | None, name: str) -> TenantRow | None:  # noqa: ARG002 - the same
        """See Handler."""
        named = sa.select(TenantRow).where(TenantRow.name_key == name_key(name))
        row = self.session.scalars(named).one_or_none()
        return changeable_tenant(self.session, self.actor, row.id) if row is not None else None

    def state(self, row: TenantRow) -> dict[str, Value]:
        """See Handler."""
        return {
            "plan": self.session.get_one(PlanRow, row.plan_id).name,
            "contacts": tuple(row.contacts),
            "notices": row.notices,
            **common_fields(row),
        }

    def create(self, owner: TenantRow | None, name: str, fields: Fields) -> None:  # noqa: ARG002 - the same
        """See Handler."""
        options: dict[str, Any] = dict(fields)
        self.services.tenants.register(self.actor, name, **options)

    def update(self, row: TenantRow, fields: Fields) -> None:
        """See Handler."""
        options: dict[str, Any] = dict(fields)
        self.services.tenants.update(self.actor, row.id, **options)

    def delete(self, row: TenantRow) -> None:
        """See Handler; it has its time of grace."""
        self.services.deletion.delete_tenant(self.actor, row.id)


class Trials(Room):
    """Trial names, named by their environment. They go with their tenant only."""

    def rows(self, owner: TenantRow | None) -> Sequence[DomainRow]:
        """See Handler."""
        mine = DomainRow.tenant_id == (owner.id if owner is not None else None)
        return self.all_of(DomainRow, mine, DomainRow.kind == "trial", DomainRow.purge_at.is_(None))

    def find(self, owner: TenantRow | None, name: str) -> DomainRow | None:
        """See Handler."""
        return next((row for row in self.rows(owner) if row.environment == name), None)

    def name(self, row: DomainRow) -> str:
        """See Handler."""
        return row.environment

    def state(self, row: DomainRow) -> dict[str, Value]:  # noqa: ARG002 - it has no fields
        """See Handler."""
        return {}

    def create(self, owner: TenantRow | None, name: str, fields: Fields) -> None:  # noqa: ARG002 - the same
        """See Handler."""
        self.services.domains.add_trial(self.actor, tenant=owner_of(owner), environment=name)

    def update(self, row: DomainRow, fields: Fields) -> None:
        """See Handler; there is nothing to change."""


class Workspaces(Room):
    """Workspaces: a tenant's own, or shared."""

    def rows(self, owner: TenantRow | None) -> Sequence[WorkspaceRow]:
        """See Handler."""
        statement = sa.select(WorkspaceRow).where(WorkspaceRow.owner == owner_of(owner))
        return self.session.scalars(statement.order_by(WorkspaceRow.name_key)).all()

    def find(self, owner: TenantRow | None, name: str) -> WorkspaceRow | None:
        """See Handler."""
        named = sa.select(WorkspaceRow).where(
            WorkspaceRow.owner == owner_of(owner), WorkspaceRow.name_key == name_key(name)
        )
        return self.session.scalars(named).one_or_none()

    def state(self, row: WorkspaceRow) -> dict[str, Value]:
        """See Handler."""
        view = workspace_view(self.session, row)
        return {
            "environment": view.environment,
            "policy": view.policy,
            "location": view.location,
            "default": True if view.is_default else None,
            "patterns": view.patterns,
            **common_fields(row),
        }

    def create(self, owner: TenantRow | None, name: str, fields: Fields) -> None:
        """See Handler."""
        options: dict[str, Any] = dict(fields)
        tenant = owner.id if owner is not None else None
        self.services.workspaces.create(self.actor, name, tenant=tenant, **options)

    def update(self, row: WorkspaceRow, fields: Fields) -> None:
        """See Handler."""
        options: dict[str, Any] = dict(fields)
        self.services.workspaces.update(self.actor, row.id, **options)

    def delete(self, row: WorkspaceRow) -> None:
        """See Handler."""
        self.services.deletion.delete_workspace(self.actor, row.id)


def owner_of(owner: TenantRow | None) -> str:
    """What tables have for an owner: the tenant's id, or the word for all."""
    return owner.id if owner is not None else SHARED


def common_fields(row: Any) -> dict[str, Value]:
    """The fields that every resource has."""
    return {"client_id": row.client_id, "metadata": dict(row.metadata_)}
