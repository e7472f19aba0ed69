"""`/v1/domains/…/delegations`: who else may have names below a domain."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.control.domains.delegation import DelegationView
from gateway.faces.api.caller import Caller
from gateway.faces.api.models import Name, Request
from gateway.faces.api.operation import operation
from gateway.faces.api.routes.domains import current_domain

api = APIRouter(tags=["domains"])


class Delegate(Request):
    """The tenant, by its id; the operator may say its name."""

    to: Name


@operation(
    api,
    "POST",
    "/domains/{domain}/delegations",
    cli="domain delegate",
    shows=DelegationView,
    status=201,
    current=current_domain,
)
def delegate_domain(call: Caller, domain: str, body: Delegate) -> DelegationView:
    """Let another tenant claim names below a proved domain."""
    return call.services.delegations.delegate(call.actor, domain, to=body.to)


@operation(
    api, "GET", "/domains/{domain}/delegations", cli="domain delegations", shows=DelegationView, many=True
)
def list_delegations(call: Caller, domain: str) -> tuple[DelegationView, ...]:
    """Who may claim names below a domain."""
    return call.services.delegations.list(call.actor, domain)


@operation(
    api,
    "POST",
    "/domains/{domain}/delegations/revoke",
    cli="domain undelegate",
    shows=DelegationView,
    current=current_domain,
)
def revoke_delegation(call: Caller, domain: str, body: Delegate) -> DelegationView:
    """Let a tenant claim nothing more below a domain; what it has there stays."""
    return call.services.delegations.revoke(call.actor, domain, to=body.to)
