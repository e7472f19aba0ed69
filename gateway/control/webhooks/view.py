"""What people see of a webhook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.filters import among, in_environment, of_tenant
from gateway.control.paging import Listing
from gateway.control.webhooks.model import STATES, WebhookRow, WebhookSecretRow


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook as people see it; its name is its URL. `tenant_id` None: the platform's.

    `old_secret_until`: until when (seconds since 1970) a rotated secret signs too.
    """

    id: str
    name: str
    tenant_id: str | None
    url: str
    events: tuple[str, ...]
    environment: str | None
    workspace_id: str | None
    description: str | None
    state: str
    state_reason: str | None
    old_secret_until: float | None
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


def webhook_view(session: Session, row: WebhookRow) -> WebhookView:
    """The view of a row."""
    return webhook_views(session, [row])[0]


def webhook_views(session: Session, rows: Sequence[WebhookRow]) -> list[WebhookView]:
    """The views of rows, in their order."""
    ends = sa.select(WebhookSecretRow.webhook_id, sa.func.max(WebhookSecretRow.expires_at))
    wanted = ends.where(WebhookSecretRow.webhook_id.in_([row.id for row in rows]))
    found = session.execute(wanted.group_by(WebhookSecretRow.webhook_id)).all()
    until: dict[str, float | None] = {row[0]: row[1] for row in found}
    return [_view(row, until.get(row.id)) for row in rows]


def secrets_of(session: Session, webhook_id: str) -> Sequence[WebhookSecretRow]:
    """A webhook's secrets, the oldest first; those that have ended too, until the next rotation."""
    statement = sa.select(WebhookSecretRow).where(WebhookSecretRow.webhook_id == webhook_id)
    return session.scalars(statement.order_by(WebhookSecretRow.created_at)).all()


def _view(row: WebhookRow, old_secret_until: float | None) -> WebhookView:
    return WebhookView(
        id=row.id,
        name=row.url,
        tenant_id=row.tenant_id,
        url=row.url,
        events=tuple(row.events),
        environment=row.environment,
        workspace_id=row.workspace_id,
        description=row.description,
        state=row.state,
        state_reason=row.state_reason,
        old_secret_until=old_secret_until,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


LISTING = Listing(
    row=WebhookRow,
    views=webhook_views,
    sorts={"created_at": WebhookRow.created_at, "updated_at": WebhookRow.updated_at, "url": WebhookRow.url},
    filters={
        "tenant": of_tenant(WebhookRow.tenant_id),
        "url": WebhookRow.url,
        "environment": in_environment(WebhookRow.environment),
        "state": among(WebhookRow.state, STATES, "state"),
        "client_id": WebhookRow.client_id,
    },
)
