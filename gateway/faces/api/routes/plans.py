"""`/v1/plans`: the most a tenant may have. Their documents are applied with the policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.control.paging import Page, PageQuery
from gateway.control.plans.service import PlanView
from gateway.control.policies.view import PolicyView
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import ClientId, MetadataChange, Patch
from gateway.faces.api.operation import operation
from gateway.faces.api.routes.policies import Version

api = APIRouter(tags=["plans"])


class PlanUpdate(Patch):
    """The caller's own words for a plan; its document is applied."""

    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


def _shown(services: ControlServices, actor: Actor, plan: str, version: int | None = None) -> PolicyView:
    return services.policies.show(actor, f"plans/{plan}", version)


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> PolicyView:
    return _shown(services, actor, path["plan"])


@operation(api, "GET", "/plans", cli="plan list", shows=PlanView, many=True)
def list_plans(
    call: Caller,
    page: Annotated[
        PageQuery, Depends(paging("name", "client_id", sorts=("name", "created_at", "updated_at")))
    ],
) -> Page[PlanView]:
    """Plans: every caller may see them."""
    return call.services.plans.page(call.actor, page)


@operation(api, "GET", "/plans/{plan}", cli="plan show", shows=PolicyView)
def show_plan(call: Caller, plan: str, version: Version = None) -> PolicyView:
    """One plan with its document, in force or at an earlier version."""
    return _shown(call.services, call.actor, plan, version)


@operation(api, "PATCH", "/plans/{plan}", cli="plan update", shows=PolicyView, current=_current)
def update_plan(call: Caller, plan: str, body: PlanUpdate) -> PolicyView:
    """Change the caller's own id and pairs of a plan."""
    updated = call.services.plans.update(call.actor, plan, **body.changes())
    return _shown(call.services, call.actor, updated.id)


@operation(api, "DELETE", "/plans/{plan}", cli="plan delete", shows=PolicyView, current=_current)
def delete_plan(call: Caller, plan: str) -> PolicyView:
    """Take away a plan that no tenant is on; what it said stays in the audit."""
    return call.services.deletion.delete_policy(call.actor, f"plans/{plan}")


@operation(api, "GET", "/plans/{plan}/versions", cli="plan versions", shows=PolicyView, many=True)
def list_plan_versions(call: Caller, plan: str) -> tuple[PolicyView, ...]:
    """Every version of a plan, newest first."""
    return call.services.policies.versions(call.actor, f"plans/{plan}")
