"""Errors as problem documents (RFC 9457), whatever raised them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gateway.control.conditions import AlreadyDone
from gateway.control.errors import ServiceError
from gateway.faces.api.mistakes import told
from gateway.system.database import DatabaseAway
from gateway.system.rendering import plain
from gateway.system.secrets import SecretError

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int,
    code: str,
    detail: str,
    fix: str,
    *,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """A problem document as a response."""
    document = {
        "type": f"urn:gatepost:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "fix": fix,
        **more,
    }
    return JSONResponse(document, status, media_type=MEDIA_TYPE, headers=headers)


def add_handlers(app: FastAPI) -> None:
    """Let every error of `app` end as a problem document."""
    handlers: dict[Any, Any] = {
        ServiceError: _refused,
        RequestValidationError: _unreadable,
        HTTPException: _not_served,
        DatabaseAway: _away,
        SecretError: _sealed,
        AlreadyDone: _repeated,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _refused(_: Request, error: ServiceError) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    seconds = getattr(error, "retry_after", None)
    if seconds is not None:
        headers["Retry-After"] = str(max(1, round(seconds)))
    more = {}
    problems = getattr(error, "problems", None)
    if problems is not None:
        more["problems"] = plain(problems)
    return problem(error.status, error.code, error.detail, error.fix, headers=headers, **more)


async def _unreadable(_: Request, error: RequestValidationError) -> JSONResponse:
    mistakes = told(error.errors())
    detail = "; ".join(f"{one['field']}: {one['problem']}" for one in mistakes)
    fix = "Correct what is listed; /openapi.json describes every field."
    return problem(422, "bad-request", detail, fix, errors=mistakes)


async def _not_served(request: Request, error: HTTPException) -> JSONResponse:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = f"{request.method} {request.url.path}: {error.detail}."
    headers = dict(error.headers) if error.headers else None
    return problem(error.status_code, code, detail, "/openapi.json lists every operation.", headers=headers)


async def _away(_: Request, error: DatabaseAway) -> JSONResponse:
    structlog.get_logger("gateway.faces.api").warning("database_away", reason=str(error))
    headers = {"Retry-After": "2"}
    detail = "The database cannot be reached; nothing was changed."
    return problem(503, "database-away", detail, "Try again when it is back.", headers=headers)


async def _sealed(_: Request, error: SecretError) -> JSONResponse:
    return problem(503, "master-key", str(error), "Restore the master key's file.")


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log = structlog.get_logger("gateway.faces.api")
    log.error("api_error", path=request.url.path, exc_info=error)
    fix = "Look for api_error in the gateway's log, and report it."
    return problem(500, "internal-error", "Something unexpected happened.", fix)


async def _repeated(request: Request, error: AlreadyDone) -> JSONResponse:
    """A repetition gets the first result, with the status of a first one."""
    status = getattr(request.scope.get("route"), "status_code", None) or 200
    return JSONResponse(plain(error.result), status, headers={"Idempotency-Replayed": "true"})
