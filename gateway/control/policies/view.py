"""Policies as people see them, and how they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.lookup import not_found
from gateway.control.paging import Listing
from gateway.control.plans.model import PlanRow
from gateway.control.policies.documents import Kind
from gateway.control.policies.model import DocumentVersionRow, PolicyRow
from gateway.control.policies.store import find_version


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy (or plan) at one version; policies belong to no tenant. `data` is the document parsed.

    `created_at` is the first version's time, `updated_at` this version's, `created_by` who made this one.
    """

    id: str
    name: str
    tenant_id: None
    kind: Kind
    version: int
    document: str
    data: dict[str, Any]
    created_at: float
    updated_at: float
    client_id: str | None
    metadata: dict[str, str]
    created_by: str


def policy_view(session: Session, kind: Kind, row: PolicyRow | PlanRow, version: int) -> PolicyView:
    """The view of a policy or plan at a version. Raises NotFound."""
    found = find_version(session, kind, row.name, version)
    if found is None:
        raise not_found(kind, f"{row.name} version {version}")
    return version_view(row, found)


def policy_views(session: Session, rows: Sequence[PolicyRow]) -> list[PolicyView]:
    """The views of policies at the version in force, in their order."""
    in_force = sa.select(DocumentVersionRow).join(
        PolicyRow,
        sa.and_(
            DocumentVersionRow.kind == "policy",
            DocumentVersionRow.name == PolicyRow.name,
            DocumentVersionRow.version == PolicyRow.version,
        ),
    )
    versions = session.scalars(in_force.where(PolicyRow.id.in_([row.id for row in rows])))
    by_name = {version.name: version for version in versions}
    return [version_view(row, by_name[row.name]) for row in rows]


def version_view(row: PolicyRow | PlanRow, version: DocumentVersionRow) -> PolicyView:
    """The view of one version of a policy or plan."""
    return PolicyView(
        id=row.id,
        name=row.name,
        tenant_id=None,
        kind="plan" if version.kind == "plan" else "policy",
        version=version.version,
        document=version.document,
        data=version.data,
        created_at=row.created_at,
        updated_at=version.created_at,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_by=version.created_by,
    )


LISTING = Listing(
    row=PolicyRow,
    views=policy_views,
    sorts={"name": PolicyRow.name, "created_at": PolicyRow.created_at, "updated_at": PolicyRow.updated_at},
    filters={"name": PolicyRow.name, "client_id": PolicyRow.client_id},
)
