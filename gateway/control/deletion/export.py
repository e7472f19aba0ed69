"""Everything that is kept of a tenant, as documents without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from gateway.control.accounts.view import LISTING as ACCOUNTS
from gateway.control.apikeys.service import LISTING as API_KEYS
from gateway.control.audit.entries import oldest_first
from gateway.control.audit.model import AuditEntryRow
from gateway.control.credentials.view import LISTING as PASSWORDS
from gateway.control.domains.listing import LISTING as DOMAINS
from gateway.control.keys.view import LISTING as KEYS
from gateway.control.lists.model import ListItemRow, ListRow
from gateway.control.lists.view import ITEMS
from gateway.control.lists.view import LISTING as LISTS
from gateway.control.paging import LONGEST_PAGE, Listing, PageQuery, read_page
from gateway.control.raises.view import listing as raises
from gateway.control.recording import payload
from gateway.control.records import Actor
from gateway.control.shards.listing import LISTING as SHARDS
from gateway.control.tenants.model import TenantRow
from gateway.control.tenants.view import tenant_view
from gateway.control.transaction import ControlWrites
from gateway.control.webhooks.view import LISTING as WEBHOOKS
from gateway.control.workspaces.view import LISTING as WORKSPACES

_SYSTEM = Actor(kind="system", id="export")


def exported(writes: ControlWrites, tenant_id: str) -> Iterator[dict[str, Any]]:
    """The tenant, all that is its own, and its audit entries in their order: a page at a time."""
    with writes.view() as session:
        tenant = payload(tenant_view(session, session.get_one(TenantRow, tenant_id)))
    yield {"resource": "tenant", **tenant}
    kinds: tuple[tuple[str, Listing[Any, Any]], ...] = (
        ("domain", DOMAINS),
        ("dkim-key", KEYS),
        ("shard", SHARDS),
        ("workspace", WORKSPACES),
        ("list", LISTS),
        ("account", ACCOUNTS),
        ("app-password", PASSWORDS),
        ("limit-raise", raises(writes.clock.now())),
        ("api-key", API_KEYS),
        ("webhook", WEBHOOKS),
    )
    for kind, listing in kinds:
        yield from _all(writes, kind, listing, listing.row.tenant_id == tenant_id)
    yield from _items(writes, tenant_id)
    for entry in oldest_first(writes.view, [AuditEntryRow.tenant_id == tenant_id]):
        yield {"resource": "audit", **payload(entry)}


def _items(writes: ControlWrites, tenant_id: str) -> Iterator[dict[str, Any]]:
    with writes.view() as session:
        own = sa.select(ListRow.id, ListRow.name).where(ListRow.tenant_id == tenant_id)
        rows = session.execute(own.order_by(ListRow.name)).all()
    for list_id, name in rows:
        for item in _all(writes, "list-item", ITEMS, ListItemRow.list_id == list_id):
            yield {**item, "list_id": list_id, "list": name}


def _all(writes: ControlWrites, kind: str, listing: Listing[Any, Any], mine: Any) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        with writes.view() as session:
            page = read_page(session, _SYSTEM, listing, PageQuery(LONGEST_PAGE, cursor), mine)
        yield from ({"resource": kind, **payload(view)} for view in page.items)
        cursor = page.cursor
        if cursor is None:
            return
