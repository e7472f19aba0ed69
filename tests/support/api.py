"""The API over real databases, in this process.

Fixtures (each test runs on "sqlite" and "postgresql"):
    api   an ApiWorld: the application over fresh databases, and keys to call it with
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.faces.api.application import build_app
from gateway.faces.api.explained import Explained
from gateway.faces.api.parts import ApiParts
from gateway.faces.api.rates import Rates
from gateway.outgoing.queue import QueueLocation, QueueService
from gateway.outgoing.queue.audit import LocationAudit
from gateway.outgoing.webhooks.service import DeliveryService
from gateway.system.blobs import open_blobs
from gateway.system.database import Database
from tests.support.control import OPERATOR


class ApiWorld:
    """The application and its services. `call` is made by the operator unless a key is given."""

    def __init__(self, parts: ApiParts) -> None:
        self.parts = parts
        self.services = parts.services
        self.app = build_app(parts)
        self.operator_key = self.key()
        self.uses: list[tuple[str, str]] = []

    def key(self, *rights: str, **limits: Any) -> str:
        """A fresh API key."""
        everything = ("read", "write", "send", "support")
        return self.services.api_keys.create(OPERATOR, "test", rights=rights or everything, **limits)[1]

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


def explained(services: ControlServices, actor: Actor, account: str) -> Explained:
    """An explanation that knows nothing but whose it is."""
    found = services.accounts.show(actor, account)
    words = dict.fromkeys(("tenant", "plan", "environment", "location", "policy", "rule", "stream"), "-")
    nothing: dict[str, Any] = dict.fromkeys(("values", "steps", "charges", "ways", "selectors"), ())
    return Explained(
        account=found.address,
        credential=None,
        workspace=found.workspace,
        policy_version=1,
        reply="250 2.0.0 queued as <ID>",
        **words,
        **nothing,
    )


def _not_here(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("this world has no queue that is written to")


@pytest.fixture
def api(control_services: ControlServices, location_url: str, tmp_path: Path) -> Iterator[ApiWorld]:
    """The API over fresh databases."""
    writes = control_services.writes
    with Database.open(location_url, purpose="default") as location:
        locations = {"default": QueueLocation(location, open_blobs(str(tmp_path / "blobs")))}
        queue = QueueService(locations, writes.clock, writes.ids, b"k" * 32)
        yield ApiWorld(
            ApiParts(
                services=control_services,
                queue=queue,
                clock=writes.clock,
                ids=writes.ids,
                rates=Rates(writes.clock, 1_000_000.0, 1_000_000),
                note_use=lambda _, __: None,
                explain=lambda actor, account, **_: explained(control_services, actor, account),
                status=lambda _: {},
                send=_not_here,
                simulate=_not_here,
                deliveries=DeliveryService(
                    location, control_services.webhooks, LocationAudit(writes.ids, b"k" * 32), writes.clock
                ),
            )
        )
