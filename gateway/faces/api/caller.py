"""Who calls: an API key over TCP, a user of this machine over the Unix socket; and what the call demands."""

from __future__ import annotations

import hashlib
import hmac
import pwd
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request, params
from fastapi.dependencies.utils import get_flat_params
from starlette.concurrency import run_in_threadpool

from gateway.control.conditions import Conditions, Once
from gateway.control.errors import Forbidden, Invalid
from gateway.control.lookup import shown
from gateway.control.records import Actor
from gateway.faces.api.errors import PreconditionFailed, TooManyRequests, Unauthenticated
from gateway.faces.api.etags import etag, matches
from gateway.faces.api.listing import METADATA_PREFIX
from gateway.faces.api.operation import Facts, facts_of
from gateway.faces.api.rates import counted_as

if TYPE_CHECKING:
    from gateway.control.services import ControlServices
    from gateway.control.transaction import ControlChange
    from gateway.faces.api.parts import ApiParts

UID_PREFIX = "uid:"
"""What the server says of a peer on the Unix socket instead of an IP address."""

_LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, and the parts that answer."""

    actor: Actor
    parts: ApiParts

    @property
    def services(self) -> ControlServices:
        """The control plane."""
        return self.parts.services


async def _call(request: Request) -> Call:
    parts: ApiParts = request.app.state.parts
    facts = facts_of(request.scope["route"].endpoint)
    _refuse_unknown(request)
    actor = await _actor(request, parts)
    _require_right(actor, facts)
    return Call(replace(actor, conditions=await _conditions(request, parts, actor, facts)), parts)


Caller = Annotated[Call, Depends(_call)]
"""The parameter of every operation that needs a caller."""


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


async def _actor(request: Request, parts: ApiParts) -> Actor:
    address = request.client.host if request.client is not None else ""
    request_id = parts.ids.uuid()
    request.state.request_id = request_id
    if address.startswith(UID_PREFIX):
        return local_actor(int(address.removeprefix(UID_PREFIX)), request_id)
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("The request has no API key.")
    known = await run_in_threadpool(parts.services.api_keys.recognise, secret.strip())
    if known is None or not known.allows(address or None):
        # One answer for all reasons: a thief learns nothing from it.
        _take(request, parts, f"address {address}")
        raise Unauthenticated("The API key is not valid here.")
    _take(request, parts, counted_as(known.tenant_id, known.id))
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


def _take(request: Request, parts: ApiParts, who: str) -> None:
    """Count the request against its caller's rate, and let the reply tell where that stands."""
    allowance = parts.rates.take(who)
    request.state.allowance = allowance
    if not allowance.granted:
        raise TooManyRequests(allowance.reset_seconds)


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


async def _conditions(request: Request, parts: ApiParts, actor: Actor, facts: Facts) -> Conditions | None:
    checks: tuple[Any, ...] = ()
    wanted = request.headers.get("if-match")
    if wanted is not None and facts.current is not None:
        current, references = facts.current, dict(request.path_params)

        def unchanged(change: ControlChange) -> None:
            view = current(parts.services.within(change), actor, references)
            if not matches(wanted, etag(view)):
                raise PreconditionFailed(request.url.path)

        checks = (unchanged,)
    key = request.headers.get("idempotency-key")
    once = None
    if key is not None and facts.once:
        if not 1 <= len(key) <= _LONGEST_KEY or not key.isprintable():
            raise Invalid(
                "bad-idempotency-key",
                "The Idempotency-Key does not fit.",
                f"Use 1 to {_LONGEST_KEY} printable characters, such as a UUID.",
            )
        asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + await request.body()
        # Not a bare hash: a request may hold a password that somebody chose.
        mark = hmac.new(parts.services.installation.durable_key("idempotency"), asked, hashlib.sha256)
        once = Once(f"{actor.kind}:{actor.id}", key, mark.hexdigest())
    return Conditions(checks, once) if checks or once else None
