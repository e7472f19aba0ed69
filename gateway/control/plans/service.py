"""Plans by name. Their documents are planned and applied by gateway.control.policies.service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.clientids import set_client_id
from gateway.control.errors import Forbidden
from gateway.control.lookup import clean_metadata, find
from gateway.control.paging import Listing, Page, PageQuery, one_by_one, read_page
from gateway.control.plans.model import PlanRow
from gateway.control.recording import record
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
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


class PlanService:
    """Reads plans, and keeps what callers say of them."""

    def __init__(self, writes: ControlWrites) -> None:
        self._writes = writes

    def page(self, actor: Actor, query: PageQuery) -> Page[PlanView]:
        """A page of the plans: every caller may see them.

        Filters: name, client_id, metadata.KEY. Sorts: name, created_at, updated_at. Raises Invalid.
        """
        with self._writes.view() as session:
            return read_page(session, actor, _LISTING, query)

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> PlanView:
        """Change the caller's own id and pairs; the document is applied. Raises NotFound, Forbidden."""
        if not actor.is_operator:
            raise Forbidden("operator-only", "Plans are the operator's.", "Ask the platform's operator.")
        with self._writes.change(actor) as change:
            row = find_plan(change.session, reference)
            before = plan_view(row)
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            row.updated_at = change.now
            change.session.flush()
            record(change, "plan.update", "plan", before, plan_view(row))
            return plan_view(row)

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
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


_LISTING = Listing(
    row=PlanRow,
    views=one_by_one(lambda _, row: plan_view(row)),
    sorts={"name": PlanRow.name, "created_at": PlanRow.created_at, "updated_at": PlanRow.updated_at},
    filters={"name": PlanRow.name, "client_id": PlanRow.client_id},
)
