"""The API over real databases, in this process.

Fixtures (each test runs on "sqlite" and "postgresql"):
    api   an ApiWorld: the application over fresh databases, and keys to call it with
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from starlette.datastructures import State

from gateway.app.api import api_parts
from gateway.app.desk import OpenedDesk
from gateway.app.sending import sending_alone
from gateway.faces.api.application import build_app
from gateway.faces.api.parts import ApiParts
from gateway.faces.api.rates import Rates
from gateway.outgoing.queue import NewMessage
from tests.integration.outgoing.queue.parts import new_message, new_recipient, running_store
from tests.support.control import OPERATOR, SETTINGS, TickingClock
from tests.support.installation import Installation, open_installation


@cache
def _built() -> FastAPI:
    """The application once: its routes are the same over any parts, and take long to make."""
    return build_app(cast("ApiParts", None))


def app_over(parts: ApiParts) -> FastAPI:
    """An application over these parts, which shares nothing but its routes with others."""
    app = copy(_built())
    app.state = State({"parts": parts})
    app.middleware_stack = None
    return app


class ApiWorld:
    """The application and its services. `call` is made by the operator unless a key is given."""

    def __init__(self, parts: ApiParts, installation: Installation) -> None:
        self.parts = parts
        self.installation = installation
        self.services = parts.services
        self.app = app_over(parts)
        self.operator_key = self.key()
        self.uses: list[tuple[str, str]] = []

    def key(self, *rights: str, **limits: Any) -> str:
        """A fresh API key."""
        everything = ("read", "write", "send", "support")
        return self.services.api_keys.create(OPERATOR, "test", rights=rights or everything, **limits)[1]

    def mail(self, account: str, *recipients: str, **changes: Any) -> str:
        """Put a message of an account (its address or id) into the queue; the message's id."""
        view = self.services.accounts.show(OPERATOR, account)
        shard = self.services.shards.list(OPERATOR, tenant=view.tenant_id)[0]
        message = new_message(
            *(new_recipient(one, shard_id=shard.id) for one in recipients or ("b@example.net",)),
            clock=self.parts.clock,
            tenant_id=view.tenant_id,
            account_id=view.id,
            workspace_id=view.workspace_id,
            environment=view.environment,
            **changes,
        )
        asyncio.run(self._store(message))
        return message.id

    async def _store(self, message: NewMessage) -> None:
        made = self.installation
        async with running_store(made.location, made.folder / "blobs", clock=made.clock) as store:
            await store.add(message)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """One request."""
        return self.send(
            method,
            path,
            json=body,
            headers={"Authorization": f"Bearer {key or self.operator_key}", **(headers or {})},
        )

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request as it is given, from 127.0.0.1."""
        return asyncio.run(self._send(method, path, request))

    async def _send(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **request)

    def done(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a request that must succeed."""
        reply = self.call(method, path, body, **options)
        assert reply.status_code < 300, reply.text
        return reply.json() if reply.content else None

    def refused(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, str]:
        """Status and code of a request that must be refused with a problem document."""
        reply = self.call(method, path, body, **options)
        assert reply.headers["content-type"] == "application/problem+json", reply.text
        document = reply.json()
        assert document["status"] == reply.status_code
        assert document["detail"]
        assert document["fix"]
        return reply.status_code, document["code"]


@pytest.fixture
def api(control_url: str, location_url: str, tmp_path: Path) -> Iterator[ApiWorld]:
    """The API over fresh databases."""
    with ExitStack() as stack:
        made: Installation = open_installation(
            stack, tmp_path, control_url, location_url, Installation, clock=TickingClock(), settings=SETTINGS
        )
        desk = OpenedDesk.over(made.ground)
        desk.services = made.services
        parts = api_parts(desk, lambda _, __: None, sending_alone(made.ground))
        rates = Rates(made.clock, 1_000_000.0, 1_000_000)
        yield ApiWorld(replace(parts, rates=rates, public_url="https://mail.gatepost.test:8443"), made)
