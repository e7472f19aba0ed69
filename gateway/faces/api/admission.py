"""The door: who calls, how often, and what for, all looked at before any of the body is read."""

from __future__ import annotations

import ipaddress
import pwd
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fastapi import Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import Match
from starlette.types import Scope

from gateway.control.errors import Forbidden, Invalid
from gateway.control.lookup import shown
from gateway.control.records import Actor
from gateway.faces.api.bodies import BoundedRequest
from gateway.faces.api.errors import ConditionNotTaken, TooManyRequests, Unauthenticated
from gateway.faces.api.facts import Facts, facts_of
from gateway.faces.api.listing import METADATA_PREFIX
from gateway.faces.api.rates import counted_as

if TYPE_CHECKING:
    from gateway.faces.api.parts import ApiParts
    from gateway.faces.api.rates import Rates

UID_PREFIX = "uid:"
"""What the server says of a peer on the Unix socket instead of an IP address."""

Handle = Callable[[Request], Coroutine[Any, Any, Response]]


_SLASH = "\ue000"
"""Stands for a slash inside a name while a path is matched: nobody writes this private character."""


class GuardedRoute(APIRoute):
    """A route whose body is read only once the caller was let in, and only as far as the operation allows.

    A slash inside a name, `%2F` in the path, belongs to the name: tenants and webhooks have such.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether, and with which parameters, a request is for this route."""
        if b"%2f" not in scope.get("raw_path", b"").lower():
            return super().matches(scope)
        pieces = scope["raw_path"].partition(b"?")[0].decode("latin-1").split("/")
        path = "/".join(unquote(piece).replace("/", _SLASH) for piece in pieces)
        match, found = super().matches({**scope, "path": path})
        if "path_params" in found:
            names = {
                name: value.replace(_SLASH, "/") if isinstance(value, str) else value
                for name, value in found["path_params"].items()
            }
            found = {**found, "path_params": names}
        return match, found

    def get_route_handler(self) -> Handle:
        """What the framework calls."""
        handle = super().get_route_handler()
        facts = facts_of(self.endpoint)
        has_body = self.body_field is not None

        async def guarded(request: Request) -> Response:
            request.state.actor = await _admitted(request, facts)
            bounded = BoundedRequest(request, facts)
            if has_body:
                await bounded.prepare()
            return await handle(bounded)

        return guarded


async def _admitted(request: Request, facts: Facts) -> Actor:
    parts: ApiParts = request.app.state.parts
    request.state.request_id = parts.ids.uuid()
    actor = await _actor(request, parts)
    _refuse_nul(request)
    _refuse_unknown(request)
    _require_right(actor, facts)
    if "if-match" in request.headers and facts.current is None:
        raise ConditionNotTaken(facts.cli)
    return actor


async def _actor(request: Request, parts: ApiParts) -> Actor:
    address = request.client.host if request.client is not None else ""
    request_id = request.state.request_id
    if address.startswith(UID_PREFIX):
        return local_actor(int(address.removeprefix(UID_PREFIX)), request_id)
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        _take(request, parts.failures, network_of(address))
        raise Unauthenticated("The request has no API key.")
    known = await run_in_threadpool(parts.services.api_keys.recognise, secret.strip())
    if known is None or not known.allows(address or None):
        # One answer for all reasons: a thief learns nothing from it.
        _take(request, parts.failures, network_of(address))
        raise Unauthenticated("The API key is not valid here.")
    _take(request, parts.rates, counted_as(known.tenant_id, known.id))
    parts.note_use(known, address)
    return Actor(
        kind="api",
        id=known.id,
        address=address,
        tenant_id=known.tenant_id,
        request_id=request_id,
        workspace_id=known.workspace_id,
        environment=known.environment,
        rights=known.rights,
    )


def local_actor(uid: int, request_id: str | None = None) -> Actor:
    """A user of this machine, for the audit."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "unknown"
    return Actor(kind="cli", id=f"{name} (uid {uid})", request_id=request_id)


def network_of(address: str) -> str:
    """Whom failures are counted against: an IPv4 address, or an IPv6 one's /64, all of which one host has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def _take(request: Request, rates: Rates, who: str) -> None:
    """Count the request against its caller's rate, and let the reply tell where that stands."""
    allowance = rates.take(who)
    request.state.allowance = allowance
    if not allowance.granted:
        raise TooManyRequests(allowance.reset_seconds)


def _refuse_nul(request: Request) -> None:
    """What is asked for is looked up in databases, and PostgreSQL takes no NUL in any text."""
    if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        raise Invalid(
            "nul-character",
            "The path or a parameter has a NUL character, which no text here can have.",
            "Leave out the %00.",
        )


def _refuse_unknown(request: Request) -> None:
    """Query parameters that the operation does not know are mistakes, not to be ignored."""
    fields = get_flat_params(request.scope["route"].dependant)
    known = {field.alias for field in fields if isinstance(field.field_info, params.Query)}
    unknown = [
        name
        for name in request.query_params
        if name not in known and not ("sort" in known and name.startswith(METADATA_PREFIX))
    ]
    if unknown:
        raise Invalid(
            "bad-parameter",
            f"There is no parameter {', '.join(map(shown, unknown))} here.",
            f"Known: {', '.join(sorted(known)) or 'none'}.",
        )


def _require_right(actor: Actor, facts: Facts) -> None:
    if facts.right in actor.rights or (facts.right == "read" and "support" in actor.rights):
        return
    if facts.support and "support" in actor.rights:
        return
    raise Forbidden(
        "right-missing",
        f"`{facts.cli}` needs the right {facts.right}, which this API key does not have.",
        f"Use a key made with `gatepost api-key create NAME --right {facts.right}`.",
    )
