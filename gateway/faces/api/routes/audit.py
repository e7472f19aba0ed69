"""`/v1/audit`: who changed what, whether the record is whole, and how things were at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from gateway.control.audit.chain import AuditVerdict
from gateway.control.audit.entries import AuditQuery, AuditView
from gateway.control.audit.formats import report_csv
from gateway.control.audit.history import AccountThen
from gateway.control.audit.page import report_html
from gateway.control.audit.report import AuditReport
from gateway.control.errors import Forbidden
from gateway.control.paging import LONGEST_PAGE, Page
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import CursorQuery
from gateway.faces.api.models import Why, seconds
from gateway.faces.api.operation import operation
from gateway.system.rendering import plain

api = APIRouter(tags=["audit"])

Word = Annotated[str | None, Query(max_length=1_000)]
Moment = Annotated[datetime, Query(description="RFC 3339; without a zone it is UTC.")]
Heads = Annotated[
    list[Annotated[str, Query(max_length=1_000)]],
    Query(max_length=100, description="A head from the log, [DATABASE=]NUMBER:HASH; may be repeated."),
]
# Each piece of a stream goes through a thread, which costs more than a line does.
_LINES = 100
_FORMATS = {
    "csv": ("text/csv; charset=utf-8", report_csv),
    "html": ("text/html; charset=utf-8", report_html),
}


@operation(api, "GET", "/audit", cli="audit list", shows=AuditView, many=True)
def list_audit(
    call: Caller,
    tenant: Word = None,
    operation: Word = None,
    resource: Word = None,
    resource_kind: Word = None,
    actor: Word = None,
    database: Word = None,
    since: Annotated[datetime | None, Query()] = None,
    until: Annotated[datetime | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 100,
    cursor: CursorQuery = None,
) -> Page[AuditView]:
    """Changes in every database, the newest first; `resource` is an id, `actor` one or kind and id."""
    query = AuditQuery(
        resource_id=resource,
        resource_kind=resource_kind,
        operation=operation,
        actor=actor,
        since=seconds(since),
        until=seconds(until),
    )
    return call.parts.audit.list(
        call.actor, query, tenant=tenant, database=database, cursor=cursor, limit=limit
    )


@operation(api, "GET", "/audit/verify", cli="audit verify", shows=AuditVerdict, many=True)
def verify_audit(call: Caller, head: Heads = []) -> tuple[AuditVerdict, ...]:  # noqa: B006 - never changed
    """Follow the chain of every database: the first row that was changed, lost or moved is named."""
    if not call.actor.is_operator:
        raise Forbidden(
            "operator-only",
            "The chains hold every tenant's changes; only the operator follows them.",
            "Ask the platform's operator.",
        )
    return call.parts.audit.verify(head)


@operation(api, "GET", "/audit/export", cli="audit export", media="application/x-ndjson")
def export_audit(
    call: Caller,
    tenant: Word = None,
    since: Annotated[datetime | None, Query()] = None,
    until: Annotated[datetime | None, Query()] = None,
) -> StreamingResponse:
    """Every change, the oldest first: one JSON document a line, sent while the next ones are read."""
    query = AuditQuery(since=seconds(since), until=seconds(until))
    entries = call.parts.audit.export(call.actor, query, tenant=tenant)

    def lines() -> Iterator[str]:
        while some := list(islice(entries, _LINES)):
            yield "".join(json.dumps(plain(entry)) + "\n" for entry in some)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@operation(api, "GET", "/audit/{entry}", cli="audit show", shows=AuditView)
def show_audit(call: Caller, entry: str, database: Word = None) -> AuditView:
    """One change, before and after: by its id, or by its number in a `database`."""
    return call.parts.audit.show(call.actor, entry, database)


@operation(api, "DELETE", "/audit/{entry}/payload", cli="audit erase", shows=AuditView)
def erase_audit(call: Caller, entry: str, database: Word = None, why: Why = None) -> AuditView:
    """Erase before and after of one change, where the law wants them away; that is audited itself."""
    return call.parts.erasure.erase(call.actor, entry, database=database, why=why or "")


@operation(api, "GET", "/accounts/{account}/then", cli="audit as-of", shows=AccountThen)
def show_account_then(call: Caller, account: str, at: Moment) -> AccountThen:
    """An account as it was at a time: its workspace, and the policy that bound it with every value."""
    moment = seconds(at)
    assert moment is not None
    return call.services.history.account_at(call.actor, account, moment)


@operation(
    api,
    "GET",
    "/tenants/{tenant}/audit-report",
    cli="audit report",
    shows=AuditReport,
    media=("text/csv", "text/html"),
)
def report_audit(
    call: Caller,
    tenant: str,
    since: Moment,
    until: Moment,
    format: Annotated[Literal["json", "csv", "html"], Query()] = "json",
) -> Response | AuditReport:
    """Each account of a tenant in a time: made by whom, workspaces, policies, protocols, passwords."""
    begin, end = seconds(since), seconds(until)
    assert begin is not None
    assert end is not None
    report = call.services.history.report(call.actor, tenant, begin, end)
    if format == "json":
        return report
    media, write = _FORMATS[format]
    return Response(write(report), media_type=media)
