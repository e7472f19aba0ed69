"""Events over the API: by page, by waiting, as a stream; each caller's own, and ended when they must end."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.faces.api.rates import Rates
from gateway.system.clock import ManualClock
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR


def types(page: Any) -> list[str]:
    return [event["type"].removeprefix("gatepost.") for event in page["items"]]


def subjects(text: str) -> list[str]:
    """The subjects of a stream's events."""
    lines = [line for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: "))["subject"] for line in lines]


class Reader:
    """One client on one event loop."""

    def __init__(self, api: ApiWorld, key: str | None = None) -> None:
        transport = httpx.ASGITransport(api.app, client=("127.0.0.1", 50_000))
        headers = {"Authorization": f"Bearer {key or api.operator_key}"}
        self.client = httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers, timeout=60)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)


async def streamed(api: ApiWorld, path: str, query: bytes, told: list[str]) -> None:
    """One request whose reply is put into `told` as it comes."""
    key = f"Bearer {api.operator_key}".encode()
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        for message in asked:
            return message
        return await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        told.append(message.get("body", b"").decode())

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(b"authorization", key)],
        "client": ("127.0.0.1", 50_000),
        "server": ("x", 80),
        "scheme": "http",
        "http_version": "1.1",
    }
    await api.app(scope, receive, send)


def test_events_are_read_to_the_end_and_on_from_there(api: ApiWorld) -> None:
    api.services.tenants.create(OPERATOR, "Acme")
    page = api.done("GET", "/v1/events?types=tenant.*")
    assert types(page)[-1] == "tenant.created"
    assert page["items"][-1]["source"] == "https://mx.gatepost.test"
    api.services.tenants.suspend(OPERATOR, "Acme")
    following = api.done("GET", f"/v1/events?types=tenant.*&cursor={page['next_cursor']}")
    assert (types(following), following["more"]) == (["tenant.suspended"], False)


def test_now_is_after_everything_that_happened(api: ApiWorld) -> None:
    api.services.tenants.create(OPERATOR, "Acme")
    page = api.done("GET", "/v1/events?start=now")
    assert page["items"] == []
    api.services.tenants.suspend(OPERATOR, "Acme")
    assert types(api.done("GET", f"/v1/events?cursor={page['next_cursor']}")) == ["tenant.suspended"]


@pytest.mark.parametrize(
    "query", ["types=odd", "cursor=odd", "wait=31", "limit=0", "limit=1001", "since=odd", "metadata.a=b"]
)
def test_a_wrong_question_is_refused_before_anything_begins(api: ApiWorld, query: str) -> None:
    assert api.refused("GET", f"/v1/events?{query}")[0] == 422
    if not query.startswith(("wait", "limit")):
        assert api.refused("GET", f"/v1/events/stream?{query}")[0] == 422


def test_a_key_reads_its_own_events_only(api: ApiWorld) -> None:
    acme = api.services.tenants.create(OPERATOR, "Acme")
    api.services.tenants.create(OPERATOR, "Other")
    page = api.done("GET", "/v1/events", key=api.key(tenant="Acme"))
    assert {event["tenantid"] for event in page["items"]} == {acme.id}


async def test_who_waits_is_told_as_soon_as_something_happens(api: ApiWorld) -> None:
    reader = Reader(api)
    start = (await reader.get("/v1/events?start=now")).json()["next_cursor"]
    waiting = asyncio.create_task(reader.get(f"/v1/events?wait=30&types=tenant.created&cursor={start}"))
    while not api.parts.streams.count:
        await asyncio.sleep(0)
    await asyncio.to_thread(api.services.tenants.create, OPERATOR, "Acme")
    assert types((await waiting).json()) == ["tenant.created"]
    assert api.parts.streams.count == 0


async def test_a_stream_tells_what_was_and_what_comes_and_ends_with_the_process(api: ApiWorld) -> None:
    acme = await asyncio.to_thread(api.services.tenants.create, OPERATOR, "Acme")
    told: list[str] = []
    streaming = asyncio.create_task(
        streamed(api, "/v1/events/stream", b"types=tenant.created&start=oldest", told)
    )
    while f"tenant/{acme.id}" not in subjects("".join(told)):
        await asyncio.sleep(0)
    other = await asyncio.to_thread(api.services.tenants.create, OPERATOR, "Other")
    while f"tenant/{other.id}" not in subjects("".join(told)):
        await asyncio.sleep(0)
    api.parts.streams.close()
    await streaming
    assert api.parts.streams.count == 0


async def test_a_stream_goes_on_after_the_last_event_its_reader_saw(api: ApiWorld) -> None:
    await asyncio.to_thread(api.services.tenants.create, OPERATOR, "Acme")
    reader = Reader(api)
    cursor = (await reader.get("/v1/events?limit=1000")).json()["next_cursor"]
    suspended = await asyncio.to_thread(api.services.tenants.suspend, OPERATOR, "Acme")
    api.parts.streams.close()
    reply = await reader.get("/v1/events/stream", **{"Last-Event-ID": cursor})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert subjects(reply.text) == [f"tenant/{suspended.id}"]
    assert reply.text.startswith("id: ")


async def test_a_stream_ends_with_its_key(api: ApiWorld) -> None:
    made = await asyncio.to_thread(api.services.api_keys.create, OPERATOR, "reader", rights=("read",))
    reader = Reader(api, made[1])
    streaming = asyncio.create_task(reader.get("/v1/events/stream?start=now"))
    while not api.parts.streams.count:
        await asyncio.sleep(0)
    await asyncio.to_thread(api.services.api_keys.revoke, OPERATOR, made[0].id)
    assert (await streaming).status_code == 200
    assert api.parts.streams.count == 0


async def test_one_caller_holds_only_so_many_streams(api: ApiWorld) -> None:
    key = await asyncio.to_thread(api.key, "read")
    reader = Reader(api, key)
    streaming = [asyncio.create_task(reader.get("/v1/events/stream?start=now")) for _ in range(10)]
    while api.parts.streams.count < 10:
        await asyncio.sleep(0)
    refused = await reader.get("/v1/events?wait=1&start=now")
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
    assert (await Reader(api).get("/v1/events")).status_code == 200
    api.parts.streams.close()
    assert {reply.status_code for reply in await asyncio.gather(*streaming)} == {200}


async def test_who_catches_up_through_a_long_history_of_others_does_not_wait_on_the_way(
    api: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.control.events.feed._MOST_ROUNDS", 1)
    monkeypatch.setattr("gateway.control.events.audited._WINDOW", 2)
    waits: list[float] = []

    async def news(_since: object, seconds: float) -> bool:
        waits.append(seconds)
        return False

    monkeypatch.setattr(api.parts.streams, "news", news)
    for number in range(10):
        await asyncio.to_thread(api.services.tenants.create, OPERATOR, f"Other {number}")
    acme = await asyncio.to_thread(api.services.tenants.create, OPERATOR, "Acme")
    key = await asyncio.to_thread(api.key, tenant=acme.id)
    page = await asyncio.to_thread(api.done, "GET", "/v1/events?wait=30&types=tenant.created", key=key)
    assert [event["subject"] for event in page["items"]] == [f"tenant/{acme.id}"]
    assert waits == []


def test_all_keys_of_a_tenant_share_its_readers(api: ApiWorld) -> None:
    acme = api.services.tenants.create(OPERATOR, "Acme")
    api.services.tenants.create(OPERATOR, "Other")
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(api.parts.streams.joined(f"tenant/{acme.id}"))
        waiting = "/v1/events?start=now&wait=0.01"
        for _ in range(2):
            assert api.refused("GET", waiting, key=api.key(tenant="Acme")) == (429, "too-many-streams")
            assert api.refused("GET", "/v1/events/stream", key=api.key(tenant="Acme"))[0] == 429
        for key in (api.key(tenant="Other"), None):
            assert api.done("GET", waiting, key=key)["items"] == []


def test_all_keys_of_a_tenant_share_its_rate(api: ApiWorld) -> None:
    for name in ("Acme", "Other"):
        api.services.tenants.create(OPERATOR, name)
    keys = [api.key(tenant="Acme") for _ in range(3)]
    slow = ApiWorld(replace(api.parts, rates=Rates(ManualClock(), 0.001, 2)), api.installation)
    for key in keys[:2]:
        slow.done("GET", "/v1/tenants", key=key)
    assert slow.refused("GET", "/v1/tenants", key=keys[2])[0] == 429
    slow.done("GET", "/v1/tenants", key=api.key(tenant="Other"))
    slow.done("GET", "/v1/tenants")
