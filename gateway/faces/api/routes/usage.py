"""`/v1/usage`: what tenants used in a month."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from gateway.control.paging import Page
from gateway.faces.api.caller import Caller
from gateway.faces.api.operation import operation
from gateway.outgoing.usage.report import UsageRow, usage_csv

api = APIRouter(tags=["usage"])


@operation(api, "GET", "/usage", cli="usage", shows=UsageRow, many=True, media="text/csv")
def show_usage(
    call: Caller,
    month: Annotated[str, Query(description="As 2026-11, in UTC.", max_length=20)],
    by: Annotated[str, Query(description="tenant, workspace, plan, with commas.", max_length=100)] = "",
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> Page[UsageRow] | Response:
    """Accepted messages, their recipients, delivered recipients, and octets stored now."""
    words = [word.strip() for word in by.split(",") if word.strip()]
    rows = call.parts.usage.report(call.actor, month, words)
    if format == "csv":
        return Response(usage_csv(rows), media_type="text/csv; charset=utf-8")
    return Page(rows)
