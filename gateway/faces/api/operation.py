"""How every operation is declared: its path, its command, its right, and what it shows.

@operation(api, "GET", "/tenants/{tenant}", cli="tenant show", shows=TenantView)
def show_tenant(call: Caller, tenant: str) -> TenantView:
    return call.services.tenants.show(call.actor, tenant)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_type_hints

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from gateway.control.paging import Page, PageQuery
from gateway.control.records import Right
from gateway.faces.api.admission import GuardedRoute
from gateway.faces.api.etags import etag
from gateway.faces.api.facts import Bounds, Current, Facts
from gateway.faces.api.models import model_of, page_of
from gateway.system.rendering import plain

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = TypeVar("Handler", bound=Callable[..., Any])

PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
"""Of every refusal, in the description."""
_TEXT = {"schema": {"type": "string"}}
_ERRORS = (400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 503)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A document that shows more than the resource: its ETag is that of `resource` alone."""

    document: Any
    resource: Any


def operation(
    api: APIRouter,
    method: Method,
    path: str,
    *,
    cli: str,
    right: Right | None = None,
    shows: type | None = None,
    many: bool = False,
    status: int = 200,
    support: bool = False,
    once: bool | None = None,
    current: Current | None = None,
    media: str | tuple[str, ...] = (),
    takes: str | None = None,
    bounds: Bounds | None = None,
) -> Callable[[Handler], Handler]:
    """Register a handler that returns a view (or Tagged), a Page of views (`many`), or a Response.

    `right`: "read" for GET, else "write". `shows`: the view's dataclass, or a Pydantic model. `once`: it
    takes an Idempotency-Key, as a POST does whose change is one of the control database. `media`: what its
    Response may be beside what it shows. `takes`: a media type that its body may have instead of JSON.
    `bounds`: of its body, if it needs more than others. A handler runs in a thread, where it may block,
    unless it is a coroutine function.
    """
    known_right, takes_key = _unless_said(method, right, once)

    def register(handler: Handler) -> Handler:
        shape = get_type_hints(handler, include_extras=True).get("body")
        facts = Facts(cli, known_right, support, takes_key, current, many, bounds or Bounds(), takes, shape)
        api.add_api_route(
            path,
            _endpoint(handler, facts, status),
            methods=[method],
            status_code=status,
            operation_id=cli.replace(" ", "-"),
            response_model=None,
            response_class=Response if media and shows is None else JSONResponse,
            responses=_responses(shows, many, status, media),
            openapi_extra=_described(facts),
            route_class_override=GuardedRoute,
        )
        return handler

    return register


def _unless_said(method: Method, right: Right | None, once: bool | None) -> tuple[Right, bool]:
    """The right that an operation needs and whether it takes an Idempotency-Key: by its method."""
    usual: Right = "read" if method == "GET" else "write"
    return right or usual, method == "POST" if once is None else once


def _endpoint(handler: Callable[..., Any], facts: Facts, status: int) -> Any:
    """The handler as it is called for a request: cursors opened before it, its result made a response."""

    @functools.wraps(handler)
    def run(*arguments: Any, **keywords: Any) -> Response:
        result = handler(*arguments, **_opened(keywords, facts))
        return _response(_shut(result, keywords, facts), status)

    @functools.wraps(handler)
    async def run_here(*arguments: Any, **keywords: Any) -> Response:
        result = await handler(*arguments, **_opened(keywords, facts))
        return _response(_shut(result, keywords, facts), status)

    endpoint: Any = run_here if inspect.iscoroutinefunction(handler) else run
    endpoint.facts = facts
    return endpoint


def _opened(keywords: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """What a list's handler is called with: its cursor as the service made it. Raises Invalid."""
    if not facts.many:
        return dict(keywords)

    def opened(name: str, value: Any) -> Any:
        if isinstance(value, PageQuery) and value.cursor is not None:
            return replace(value, cursor=keywords["call"].parts.cursors.open(value.cursor, facts.cli))
        if name == "cursor" and value is not None:
            return keywords["call"].parts.cursors.open(value, facts.cli)
        return value

    return {name: opened(name, value) for name, value in keywords.items()}


def _shut(result: Any, keywords: Mapping[str, Any], facts: Facts) -> Any:
    """The same page with its cursor sealed for the caller."""
    if isinstance(result, Page) and result.cursor is not None:
        return replace(result, cursor=keywords["call"].parts.cursors.seal(result.cursor, facts.cli))
    return result


def _response(result: Any, status: int) -> Response:
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(status_code=204)
    if isinstance(result, Tagged):
        return JSONResponse(plain(result.document), status, headers={"ETag": etag(result.resource)})
    if isinstance(result, Page):
        return JSONResponse({"items": plain(result.items), "next_cursor": result.cursor}, status)
    if isinstance(result, list | tuple):
        return JSONResponse({"items": plain(result), "next_cursor": None}, status)
    return JSONResponse(plain(result), status, headers={"ETag": etag(result)})


def _responses(
    shows: type | None, many: bool, status: int, media: str | tuple[str, ...]
) -> dict[int | str, dict[str, Any]]:
    described: dict[int | str, dict[str, Any]] = {
        code: {"description": "Refused", "content": PROBLEM_CONTENT} for code in _ERRORS
    }
    if shows is not None:
        is_model = issubclass(shows, BaseModel)
        one = shows if is_model else model_of(shows)
        described[status] = {"model": page_of(shows) if many else one, "description": "Done"}
    if media:
        kinds = (media,) if isinstance(media, str) else media
        texts = {one: {"schema": {"type": "string"}} for one in kinds}
        described[status] = {"description": "Done", **described.get(status, {}), "content": texts}
    return described


def _described(facts: Facts) -> dict[str, Any]:
    """What OpenAPI says of the operation beside its parameters."""
    headers = []
    if facts.once:
        headers.append(_header("Idempotency-Key", "Within 24 h the same request gives the first result."))
    if facts.current is not None:
        headers.append(_header("If-Match", "Change it only if its ETag is still this one."))
    return {
        "x-gatepost-cli": facts.cli,
        "x-gatepost-right": facts.right,
        **({"parameters": headers} if headers else {}),
        **({"requestBody": {"content": {facts.takes: _TEXT}}} if facts.takes else {}),
    }


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    }
