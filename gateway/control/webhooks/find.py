"""Finding a webhook, and what a new one belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.errors import Conflict
from gateway.control.lookup import environment_for, is_id, not_found, shown
from gateway.control.records import Actor
from gateway.control.tenants.find import changeable_tenant
from gateway.control.visibility import visible
from gateway.control.webhooks.model import WebhookRow
from gateway.control.workspaces.find import find_workspace


def find_webhook(session: Session, actor: Actor, reference: str) -> WebhookRow:
    """A webhook by id or URL. Raises NotFound, Conflict."""
    named = WebhookRow.id == reference.lower() if is_id(reference) else WebhookRow.url == reference
    statement = sa.select(WebhookRow).where(named, visible(actor, WebhookRow)).limit(2)
    rows = session.scalars(statement).all()
    if not rows:
        raise not_found("webhook", reference)
    if len(rows) > 1:
        raise Conflict(
            "ambiguous",
            f"Several webhooks have the URL {shown(reference)}.",
            "Use the id instead; `gatepost webhook list` shows it.",
        )
    return rows[0]


def owner_id(session: Session, actor: Actor, tenant: str | None) -> str | None:
    """Whose a new webhook is; None: the platform's. Raises NotFound, Conflict."""
    if tenant is not None:
        return changeable_tenant(session, actor, tenant).id
    return changeable_tenant(session, actor, actor.tenant_id).id if actor.tenant_id is not None else None


def workspace_id(session: Session, actor: Actor, reference: str | None, tenant_id: str | None) -> str | None:
    """The workspace to filter by: one that the webhook's owner has accounts in, its own or a shared one."""
    if not reference:
        return None
    return find_workspace(session, actor, reference, tenant_id=tenant_id).id


def environment_filter(actor: Actor, name: str) -> str | None:
    """The environment whose events a webhook gets; "": every one that the caller may see.

    Raises Invalid, Forbidden (a caller limited to a workspace has no webhooks).
    """
    if name or not actor.spans_tenant:
        return environment_for(actor, name or actor.environment or "production")
    return None
