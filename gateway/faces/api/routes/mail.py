"""`/v1/refused`, `/v1/trace`, `/v1/status`: what became of mail, and the installation at a glance."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from gateway.control.paging import Page, PageQuery
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.mailnames import with_ids
from gateway.faces.api.operation import operation
from gateway.faces.api.parts import Status
from gateway.outgoing.queue.views import RefusedRecord, TraceEvent

api = APIRouter(tags=["mail"])


@operation(api, "GET", "/refused", cli="refused list", shows=RefusedRecord, many=True)
def list_refused(
    call: Caller, page: Annotated[PageQuery, Depends(paging("tenant", "account", sorts=()))]
) -> Page[RefusedRecord]:
    """Submissions that were not accepted, the newest first."""
    return call.parts.queue.pages.refused(call.actor, with_ids(call, page))


@operation(api, "GET", "/trace", cli="trace", shows=TraceEvent, many=True)
def trace(
    call: Caller,
    what: Annotated[
        str, Query(min_length=1, max_length=1_000, description="An id, a Message-ID, or a recipient.")
    ],
) -> list[TraceEvent]:
    """What became of a message, or of the newest hundred that match."""
    return list(call.parts.queue.trace(what, actor=call.actor))


@operation(api, "GET", "/status", cli="status", shows=Status)
def status(call: Caller) -> Status:
    """The installation at a glance: version, how much there is of everything, the queue by state."""
    return call.parts.status(call.actor)
