"""What people see of a webhook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.webhooks.model import WebhookRow, WebhookSecretRow


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
    ends = [one.expires_at for one in secrets_of(session, row.id) if one.expires_at is not None]
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
        old_secret_until=max(ends, default=None),
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def secrets_of(session: Session, webhook_id: str) -> Sequence[WebhookSecretRow]:
    """A webhook's secrets, the oldest first; those that have ended too, until the next rotation."""
    statement = sa.select(WebhookSecretRow).where(WebhookSecretRow.webhook_id == webhook_id)
    return session.scalars(statement.order_by(WebhookSecretRow.created_at)).all()
