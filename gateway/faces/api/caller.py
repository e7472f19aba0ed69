"""What a handler is given of the caller: who asks, and what the call demands of the transaction."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from gateway.control.conditions import Conditions, Once
from gateway.control.errors import Invalid
from gateway.control.records import Actor
from gateway.faces.api.errors import PreconditionFailed
from gateway.faces.api.etags import etag, matches
from gateway.faces.api.facts import Facts, facts_of

if TYPE_CHECKING:
    from gateway.control.services import ControlServices
    from gateway.control.transaction import ControlChange
    from gateway.faces.api.parts import ApiParts

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
    actor: Actor = request.state.actor
    facts = facts_of(request.scope["route"].endpoint)
    return Call(replace(actor, conditions=await _conditions(request, parts, actor, facts)), parts)


Caller = Annotated[Call, Depends(_call)]
"""The parameter of every operation that needs a caller."""


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
        secret = parts.services.installation.durable_key("idempotency")
        asked = (f"{request.method} {request.url.path}?{request.url.query}\n".encode(), await request.body())
        mark = await run_in_threadpool(_mark, secret, *asked)
        once = Once(f"{actor.kind}:{actor.id}", key, mark)
    return Conditions(checks, once) if checks or once else None


def _mark(secret: bytes, line: bytes, body: bytes) -> str:
    # Not a bare hash: a request may hold a password that somebody chose.
    mark = hmac.new(secret, line, hashlib.sha256)
    mark.update(body)
    return mark.hexdigest()
