"""`/v1/publishing` and `/v1/platform/records`: the platform's own zones; the operator's alone."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.control.domains.publishing.values import RecordChange
from gateway.control.domains.view import RecordView
from gateway.faces.api.caller import Caller
from gateway.faces.api.models import Request
from gateway.faces.api.operation import operation

api = APIRouter(tags=["publishing"])


class Reconciliation(Request):
    """`dry_run`: only say what differs."""

    dry_run: bool = False


@operation(api, "GET", "/platform/records", cli="platform records", shows=RecordView, many=True)
def list_platform_records(call: Caller) -> tuple[RecordView, ...]:
    """The DNS records of the platform itself; nothing is looked up."""
    return call.parts.publishing.platform_records(call.actor)


@operation(api, "GET", "/publishing/pending", cli="domain pending", shows=RecordChange, many=True)
def list_pending(call: Caller) -> tuple[RecordChange, ...]:
    """Changes of the platform's zones that are not made yet, and why."""
    return call.parts.publishing.pending(call.actor)


@operation(
    api,
    "POST",
    "/publishing/reconcile",
    cli="domain reconcile",
    shows=RecordChange,
    many=True,
    once=False,
)
def reconcile(call: Caller, body: Reconciliation) -> tuple[RecordChange, ...]:
    """Compare the platform's names with what DNS has, and mend what differs."""
    return call.parts.publishing.reconcile(call.actor, dry_run=body.dry_run)
