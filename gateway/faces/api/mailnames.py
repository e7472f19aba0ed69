"""From the names that callers use to the ids that mail carries, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from gateway.control.paging import PageQuery
from gateway.faces.api.models import model_of, with_fields
from gateway.outgoing.queue.views import MessageSummary, MessageView, QueueRow, TraceEvent
from gateway.system.rendering import plain

if TYPE_CHECKING:
    from gateway.faces.api.caller import Call

ENTRY: type[BaseModel] = with_fields(model_of(QueueRow), "QueueEntry", account=str | None, shard=str | None)
QUEUED: type[BaseModel] = with_fields(
    model_of(MessageView),
    "QueuedMessage",
    recipients=list[ENTRY],  # type: ignore[valid-type]
)
MESSAGE: type[BaseModel] = with_fields(
    model_of(MessageSummary),
    "MessageShown",
    client_address=str | None,
    recipients=list[ENTRY],  # type: ignore[valid-type]
    events=list[model_of(TraceEvent)],  # type: ignore[misc]
)


def with_ids(call: Call, page: PageQuery) -> PageQuery:
    """The same question with ids for the names of tenants, workspaces, accounts, shards. Raises NotFound."""
    services, actor = call.services, call.actor
    ids: dict[str, Callable[[str], str]] = {
        # Mail outlives its tenant: the operator may ask for that of one that is gone, by its id.
        "tenant": lambda word: services.history.tenant_id(actor, word),
        "workspace": lambda word: services.workspaces.show(actor, word).id,
        "account": lambda word: services.accounts.show(actor, word).id,
        "shard": lambda word: services.shards.show(actor, word).id,
    }
    filters = {
        f"{name}_id" if name in ids else name: ids[name](word) if name in ids else word
        for name, word in page.filters.items()
    }
    return replace(page, filters=filters)


def entries(call: Call, rows: Iterable[QueueRow]) -> list[dict[str, Any]]:
    """Queue rows with the address of the account and the shard's name."""
    listed = list(rows)
    overview = call.services.overview
    accounts = overview.addresses(call.actor, {row.account_id for row in listed if row.account_id})
    shards = overview.shard_names(call.actor, {row.shard_id for row in listed})
    return [
        {
            **plain(row),
            "account": accounts.get(row.account_id or "", row.account_id),
            "shard": shards.get(row.shard_id, row.shard_id),
        }
        for row in listed
    ]


def queued(call: Call, message_id: str) -> dict[str, Any]:
    """A message whose recipients have names. Raises NotFound."""
    queue = call.parts.queue
    # Whether the caller may see it at all: by tenant, workspace and environment.
    queue.pages.message(call.actor, message_id)
    view = queue.show(message_id)
    return {**plain(view), "recipients": entries(call, view.recipients)}


def detailed(call: Call, message_id: str) -> dict[str, Any]:
    """A message with its recipients, named, and its history. Raises NotFound."""
    found = call.parts.queue.pages.message(call.actor, message_id)
    return {
        **plain(found.summary),
        "client_address": found.client_address,
        "recipients": entries(call, found.recipients),
        "events": plain(found.events),
    }
