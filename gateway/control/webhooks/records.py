"""Webhooks as those who send to them see them: frozen values, read anew when the control plane changed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.control.installation.model import HeadRow
from gateway.control.webhooks.filters import wants
from gateway.control.webhooks.model import WebhookRow, WebhookSecretRow
from gateway.control.webhooks.secret import secret_place
from gateway.system.database import Database
from gateway.system.secrets import Sealer


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """One of a webhook's secrets; `expires_at` is set for one that was followed by another."""

    id: str
    sealed: bytes = field(repr=False)
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """A webhook. `tenant_id` None: the platform's, which gets every tenant's events."""

    id: str
    tenant_id: str | None
    url: str
    events: tuple[str, ...]
    environment: str | None
    workspace_id: str | None
    state: str
    created_at: float
    secrets: tuple[SealedSecret, ...]

    def wants(
        self, kind: str, tenant_id: str | None, environment: str | None, workspace_id: str | None
    ) -> bool:
        """Whether an event is this webhook's business. What it filters by, the event must have."""
        return (
            self.tenant_id in (None, tenant_id)
            and self.environment in (None, environment)
            and self.workspace_id in (None, workspace_id)
            and wants(self.events, kind)
        )

    def open_secrets(self, sealer: Sealer, now: float) -> tuple[bytes, ...]:
        """The secrets that sign now, the newest first; `sealer`: for "webhook". Raises SecretError."""
        return tuple(
            sealer.open(one.sealed, **secret_place(self.tenant_id, one.id))
            for one in self.secrets
            if one.expires_at is None or one.expires_at > now
        )


class WebhookBook:
    """All webhooks of the installation, in memory; as fresh as the last call. Any thread."""

    def __init__(self, database: Database) -> None:
        """`database` is the control database."""
        self._database = database
        self._lock = threading.Lock()
        self._revision = -1
        self._webhooks: dict[str, WebhookRecord] = {}

    def refresh(self) -> dict[str, WebhookRecord]:
        """The webhooks by id as of now (blocking). Raises DatabaseAway."""
        with self._lock, self._database.read() as connection:
            revision = connection.scalar(sa.select(HeadRow.revision)) or 0
            if revision != self._revision:
                self._webhooks = {one.id: one for one in _read(connection)}
                self._revision = revision
            return self._webhooks


def _read(connection: Connection) -> Sequence[WebhookRecord]:
    secrets: dict[str, list[SealedSecret]] = {}
    newest_first = sa.select(WebhookSecretRow.__table__).order_by(
        WebhookSecretRow.created_at.desc(), WebhookSecretRow.id.desc()
    )
    for row in connection.execute(newest_first):
        secrets.setdefault(row.webhook_id, []).append(SealedSecret(row.id, row.sealed, row.expires_at))
    return [
        WebhookRecord(
            id=row.id,
            tenant_id=row.tenant_id,
            url=row.url,
            events=tuple(row.events),
            environment=row.environment,
            workspace_id=row.workspace_id,
            state=row.state,
            created_at=row.created_at,
            secrets=tuple(secrets.get(row.id, ())),
        )
        for row in connection.execute(sa.select(WebhookRow.__table__))
    ]
