"""Plans by name. Their documents are planned and applied by gateway.control.policies.service."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.lookup import find
from gateway.control.plans.model import PlanRow
from gateway.control.records import Actor
from gateway.control.transaction import ControlWrites


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as people see it; plans belong to no tenant."""

    id: str
    name: str
    tenant_id: None
    version: int
    document: str
    created_at: float
    updated_at: float


class PlanService:
    """Reads plans."""

    def __init__(self, writes: ControlWrites) -> None:
        self._writes = writes

    def list(self, actor: Actor) -> tuple[PlanView, ...]:  # noqa: ARG002 - as every service asks for it
        """All plans by name; every caller may see them."""
        with self._writes.view() as session:
            return tuple(plan_view(row) for row in session.scalars(sa.select(PlanRow).order_by(PlanRow.name)))

    def show(self, actor: Actor, reference: str) -> PlanView:  # noqa: ARG002 - as every service asks for it
        """One plan. Raises NotFound."""
        with self._writes.view() as session:
            return plan_view(find_plan(session, reference))


def find_plan(session: Session, reference: str) -> PlanRow:
    """A plan by name or id. Raises NotFound."""
    return find(session, PlanRow, reference, kind="plan", name=PlanRow.name, key=reference)


def plan_view(row: PlanRow) -> PlanView:
    """The view of a row."""
    return PlanView(
        id=row.id,
        name=row.name,
        tenant_id=None,
        version=row.version,
        document=row.document,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
