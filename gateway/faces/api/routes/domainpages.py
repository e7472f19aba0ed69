"""`/v1/domains/{domain}/page`: links for people without a login."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from gateway.control.domains.pages import LONGEST_SECONDS, SHORTEST_SECONDS
from gateway.control.errors import Conflict
from gateway.faces.api.caller import Caller
from gateway.faces.api.models import Request
from gateway.faces.api.operation import operation
from gateway.faces.pages.routes import PREFIX

api = APIRouter(tags=["domains"])


class PageOpen(Request):
    """How long the link holds, 14 days unless given."""

    ttl_seconds: Annotated[float | None, Field(ge=SHORTEST_SECONDS, le=LONGEST_SECONDS)] = None


@dataclass(frozen=True, slots=True)
class PageView:
    """A page that is open to whoever has its address; `expires_at` in seconds since 1970."""

    domain: str
    url: str
    expires_at: float


# Each call makes a link of its own: nothing is changed that a repetition could change twice.
@operation(api, "POST", "/domains/{domain}/page", cli="domain page", shows=PageView, once=False)
def open_domain_page(call: Caller, domain: str, body: PageOpen) -> PageView:
    """Make a read-only page about a domain's records, for who keeps its DNS; no login."""
    base = call.parts.public_url
    if base is None:
        raise Conflict(
            "no-public-address",
            "The API listens at no address that a customer could open.",
            "Set [api] url, or [listen] api, in the configuration.",
        )
    link = call.services.pages.open(call.actor, domain, seconds=body.ttl_seconds)
    return PageView(link.domain, f"{base}{PREFIX}/domains/{link.token}", link.expires_at)
