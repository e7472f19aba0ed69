"""The API put together: routes, errors, headers, and its own description."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway import __version__
from gateway.faces.api.envelope import Envelope
from gateway.faces.api.models import Problem
from gateway.faces.api.operation import PROBLEM_CONTENT
from gateway.faces.api.parts import ApiParts
from gateway.faces.api.problems import add_handlers
from gateway.faces.api.routes import ROOMS
from gateway.faces.pages.routes import PREFIX as PAGES
from gateway.faces.pages.routes import page_router

PREFIX = "/v1"
_ABOUT = (
    "Everything that Gatepost's command line does. Errors are problem documents (RFC 9457) whose `fix` names "
    "the next call. Lists come in pages; `next_cursor` continues them. What a key may not see is 404."
)


def build_app(parts: ApiParts) -> FastAPI:
    """The ASGI application over `parts`."""
    app = FastAPI(title="Gatepost", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.parts = parts
    for room in ROOMS:
        app.include_router(room.api, prefix=PREFIX)
    app.include_router(page_router(), prefix=PAGES)
    add_handlers(app)
    app.add_middleware(Envelope)
    app.add_api_route("/openapi.json", lambda: schema(app), include_in_schema=False)
    return app


def schema(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document; made once for an application."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
        parts = document.setdefault("components", {})
        parts.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        parts["responses"] = {"Refused": {"description": "Refused", "content": PROBLEM_CONTENT}}
        _share_refusals(document)
        document["security"] = [{"key": []}]
        app.openapi_schema = document
    return app.openapi_schema


def _share_refusals(document: dict[str, Any]) -> None:
    """Say once what all refusals look like: written out they are most of the document."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if response.get("content") == PROBLEM_CONTENT:
                    operation["responses"][status] = {"$ref": "#/components/responses/Refused"}
