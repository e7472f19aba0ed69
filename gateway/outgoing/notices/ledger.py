"""What was told to whom when: a kind of thing about a subject once a day, a tenant not without end."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import Connection

from gateway.outgoing.notices.kinds import FAMILIES, Draft
from gateway.outgoing.notices.tables import notice

QUIET_SECONDS = 86_400.0
MOST_A_DAY = 20
"""Notices of one family to one tenant within a day, whatever happens to it."""

_KEPT_SECONDS = 30 * 86_400.0
_columns = notice.c

_NOTE = sa.text(
    "INSERT INTO notice (tenant_id, kind, subject, sent_at) VALUES (:tenant_id, :kind, :subject, :now) "
    "ON CONFLICT (tenant_id, kind, subject) DO UPDATE SET sent_at = excluded.sent_at "
    "WHERE notice.sent_at <= :quiet_since"
)


def untold(connection: Connection, drafts: Iterable[Draft], now: float) -> list[Draft]:
    """Those that are not told already, each once, and no more of a family than a tenant gets in a day."""
    found: dict[tuple[str, str, str], Draft] = {}
    told: dict[str, set[tuple[str, str]]] = {}
    for draft in drafts:
        if draft.tenant_id not in told:
            told[draft.tenant_id] = _told(connection, draft.tenant_id, now)
        known, mark = told[draft.tenant_id], (draft.kind.value, draft.subject)
        if mark not in known and _has_room(known, draft):
            known.add(mark)
            found[draft.tenant_id, *mark] = draft
    return list(found.values())


def note(connection: Connection, draft: Draft, now: float) -> bool:
    """Note that a notice goes out, in the transaction that queues it; False if it must not."""
    if not _has_room(_told(connection, draft.tenant_id, now), draft):
        return False
    values = {
        "tenant_id": draft.tenant_id,
        "kind": draft.kind.value,
        "subject": draft.subject,
        "now": now,
        "quiet_since": now - QUIET_SECONDS,
    }
    return connection.execute(_NOTE, values).rowcount == 1


def _has_room(told: set[tuple[str, str]], draft: Draft) -> bool:
    family = {kind.value for kind, one in FAMILIES.items() if one is FAMILIES[draft.kind]}
    return sum(kind in family for kind, _ in told) < MOST_A_DAY


def _told(connection: Connection, tenant_id: str, now: float) -> set[tuple[str, str]]:
    """Kinds and subjects of a tenant's last day."""
    recent = sa.and_(_columns.tenant_id == tenant_id, _columns.sent_at > now - QUIET_SECONDS)
    rows = connection.execute(sa.select(_columns.kind, _columns.subject).where(recent))
    return {(row.kind, row.subject) for row in rows}


def forget(connection: Connection, now: float) -> None:
    """Remove what was told long ago."""
    connection.execute(sa.delete(notice).where(_columns.sent_at < now - _KEPT_SECONDS))
