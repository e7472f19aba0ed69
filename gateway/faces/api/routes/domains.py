"""`/v1/domains`: what mail is sent from, and the records that prove and protect it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from gateway.control.domains.view import DomainCheck, DomainView, RecordView
from gateway.control.domains.watch.values import Drift
from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor, Environment
from gateway.control.services import ControlServices
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import (
    ClientId,
    GraceSeconds,
    LongName,
    Metadata,
    MetadataChange,
    Name,
    Patch,
    Request,
    Text,
)
from gateway.faces.api.operation import operation

api = APIRouter(tags=["domains"])


class DomainAdd(Request):
    """A custom domain: pending until DNS proves it."""

    name: LongName
    tenant: Name
    environment: Environment = "production"
    mode: Literal["send", "send-receive"] = "send"
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class TrialAdd(Request):
    """Whose trial name, and in which environment."""

    tenant: Name
    environment: Environment = "production"


class DomainUpdate(Patch):
    """What is to change."""

    mode: Literal["send", "send-receive"] | None = None
    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


class Voucher(Request):
    """Why a domain may be used without proof by DNS; kept in the audit."""

    reason: Text


def current_domain(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> DomainView:
    """The domain that a path names: what `If-Match` is compared with."""
    return services.domains.show(actor, path["domain"])


@operation(api, "POST", "/domains", cli="domain add", shows=DomainView, status=201)
def add_domain(call: Caller, body: DomainAdd) -> DomainView:
    """Add a tenant's domain and make its first key; its records say what to publish."""
    return call.services.domains.add(call.actor, **body.given())


@operation(api, "POST", "/domains/trial", cli="domain add-trial", shows=DomainView, status=201)
def add_trial_domain(call: Caller, body: TrialAdd) -> DomainView:
    """Give a tenant its trial name in an environment; it may send at once."""
    return call.services.domains.add_trial(call.actor, **body.given())


@operation(api, "GET", "/domains", cli="domain list", shows=DomainView, many=True)
def list_domains(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(
            paging(
                "name",
                "tenant",
                "environment",
                "kind",
                "state",
                "client_id",
                sorts=("name", "created_at", "updated_at"),
            )
        ),
    ],
) -> Page[DomainView]:
    """Domains."""
    return call.services.domains.page(call.actor, page)


@operation(api, "GET", "/domains/{domain}", cli="domain show", shows=DomainView)
def show_domain(call: Caller, domain: str) -> DomainView:
    """One domain, by name or id."""
    return call.services.domains.show(call.actor, domain)


@operation(api, "PATCH", "/domains/{domain}", cli="domain update", shows=DomainView, current=current_domain)
def update_domain(call: Caller, domain: str, body: DomainUpdate) -> DomainView:
    """Change whether a domain receives, its client_id or metadata."""
    return call.services.domains.update(call.actor, domain, **body.changes())


@operation(api, "GET", "/domains/{domain}/records", cli="domain records", shows=RecordView, many=True)
def list_records(call: Caller, domain: str) -> tuple[RecordView, ...]:
    """The DNS records to publish, and what the last look found of each; nothing is looked up now."""
    return call.services.domains.records(call.actor, domain)


@operation(api, "POST", "/domains/{domain}/verify", cli="domain verify", shows=DomainCheck, once=False)
def verify_domain(call: Caller, domain: str) -> DomainCheck:
    """Look at the domain's DNS now, at its own name servers and the resolver; a proved one becomes active."""
    return call.services.domains.verify(call.actor, domain)


@operation(api, "GET", "/domains/{domain}/verify", cli="domain verification", shows=DomainCheck)
def show_verification(call: Caller, domain: str) -> DomainCheck:
    """What the last look at the domain's DNS found, and when the next one is."""
    return call.services.domains.checked(call.actor, domain)


@operation(api, "GET", "/domains/{domain}/history", cli="domain history", shows=Drift, many=True)
def list_history(
    call: Caller, domain: str, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> tuple[Drift, ...]:
    """What was observed of the domain's records and when, the newest first."""
    return call.services.domains.history(call.actor, domain, limit)


@operation(
    api,
    "POST",
    "/domains/{domain}/mark-verified",
    cli="domain mark-verified",
    shows=DomainView,
    current=current_domain,
)
def mark_domain_verified(call: Caller, domain: str, body: Voucher) -> DomainView:
    """Make a domain usable on the operator's word."""
    return call.services.domains.mark_verified(call.actor, domain, reason=body.reason)


@operation(api, "DELETE", "/domains/{domain}", cli="domain delete", shows=DomainView, current=current_domain)
def delete_domain(call: Caller, domain: str, grace_seconds: GraceSeconds = None) -> DomainView:
    """Send nothing more with a domain that nothing depends on; it is released after its time of grace."""
    return call.services.deletion.delete_domain(call.actor, domain, grace_seconds=grace_seconds)


@operation(
    api, "POST", "/domains/{domain}/restore", cli="domain restore", shows=DomainView, current=current_domain
)
def restore_domain(call: Caller, domain: str) -> DomainView:
    """Have a domain back that is in its time of grace."""
    return call.services.deletion.restore_domain(call.actor, domain)
