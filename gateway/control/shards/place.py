"""Where a shard may lie, and which ways out its maker may choose."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.model import HELD, DomainRow
from gateway.control.domains.names import is_below, parents
from gateway.control.errors import Conflict
from gateway.control.records import Actor, Environment
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.shards.route import Route
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange
from gateway.control.visibility import operator_only


def place_of(
    change: ControlChange, settings: ControlSettings, owner: TenantRow, name: str, environment: Environment
) -> DomainRow | None:
    """The tenant's domain that a new shard lies under; None where the operator puts it elsewhere.

    Raises Conflict: it lies under another's name, in another environment, or the name is taken. Who is
    limited to a tenant learns nothing of what lies under others' names.
    """
    above = change.session.scalars(
        sa.select(DomainRow)
        .where(DomainRow.name.in_(parents(name)))
        .order_by(sa.func.length(DomainRow.name).desc())
    ).all()
    own = next((row for row in above if row.tenant_id == owner.id), None)
    if own is None and not change.actor.is_operator:
        raise _not_theirs(name)
    held = next((row for row in above if row.state in HELD), None)
    if held is not None and held.tenant_id != owner.id:
        raise _not_theirs(name)
    if own is None and any(is_below(name, ours) for ours in (settings.trial_zone, settings.hostname)):
        raise _not_theirs(name)
    if own is not None and own.environment != environment:
        raise Conflict(
            "environment-differs",
            f"{name} lies under {own.name}, of the environment {own.environment}.",
            f"Environments never mix: say --environment {own.environment}, or use another name.",
        )
    _refuse_taken(change.session, name)
    return own


def refuse_route(actor: Actor, route: Route) -> None:
    """Raises Forbidden unless the caller may choose this way out.

    Where mail is handed over, and where it is written to, is inside the operator's network: others may only
    let it be captured at the usual place.
    """
    if route.kind != "capture" or route.folder:
        operator_only(
            actor,
            f"The route {route.url} is the operator's to choose.",
            "Leave the route out for the usual one, use capture:, or ask the platform's operator.",
        )


def _refuse_taken(session: Session, name: str) -> None:
    if session.scalar(sa.select(ShardRow.id).where(ShardRow.name == name)) is not None:
        raise Conflict(
            "shard-exists", f"There is a shard {name} already.", "A shard's name is unique: choose another."
        )


def _not_theirs(name: str) -> Conflict:
    return Conflict(
        "parent-held",
        f"{name} does not lie under a domain of this tenant.",
        "`gatepost domain add` adds the domain first; `gatepost domain list` shows the tenant's.",
    )
