"""`/pages`: what a link shows. No login; a link that is wrong or over is a page that is not there."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from gateway.control.domains.names import registrable
from gateway.faces.api.errors import TooManyRequests
from gateway.faces.pages.content import Page, page_of
from gateway.faces.pages.document import assets, domain_page, gone_page

if TYPE_CHECKING:
    from gateway.faces.api.parts import ApiParts

PREFIX = "/pages"


def page_router() -> APIRouter:
    """The routes, none of them an operation of the API."""
    router = APIRouter(include_in_schema=False)

    # Without async: they read the databases, in threads.
    def show(request: Request, token: str) -> Response:
        page = _page(request, token)
        text = gone_page() if page is None else domain_page(page)
        return HTMLResponse(text, 404 if page is None else 200, headers=_headers())

    def state(request: Request, token: str) -> Response:
        page = _page(request, token)
        if page is None:
            return JSONResponse({"code": "not-found"}, 404, headers=_headers())
        return JSONResponse(asdict(page), headers=_headers())

    router.add_api_route("/domains/{token}", show, methods=["GET"])
    router.add_api_route("/domains/{token}/state", state, methods=["GET"])
    return router


def _page(request: Request, token: str) -> Page | None:
    parts: ApiParts = request.app.state.parts
    address = request.client.host if request.client is not None else ""
    allowance = parts.rates.take(f"page {address}")
    if not allowance.granted:
        raise TooManyRequests(allowance.reset_seconds)
    check = parts.services.pages.follow(token)
    return None if check is None else page_of(check, registrable(check.domain.name))


def _headers() -> dict[str, str]:
    return {
        "Content-Security-Policy": assets().policy(),
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Robots-Tag": "noindex",
    }
