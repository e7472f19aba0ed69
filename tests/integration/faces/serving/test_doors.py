"""Connections are counted before anything is said over them."""

from __future__ import annotations

import os
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.faces.api.doors import Doors
from tests.integration.edges.conftest import make_certificate, server_context
from tests.integration.faces.serving.conftest import PATIENT, Serving
from tests.integration.faces.serving.test_patience import GET, problem_in


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    return server_context(make_certificate(tmp_path, "api"))


@pytest.fixture
def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_who_finds_no_place_is_told_and_gets_one_when_another_goes(serving: Serving) -> None:
    doors = Doors(2)
    serving.start(doors=doors)
    first = await serving.client(GET % b"/whoami")
    await first.answer(b"127.0.0.1")
    await serving.client()
    await serving.until(lambda: doors.count == 2)
    third = await serving.client()
    assert problem_in(await third.rest())[:2] == (503, "too-many-connections")
    await first.close()
    await serving.until(lambda: doors.count == 1)
    again = await serving.client(GET % b"/whoami")
    assert (await again.answer(b"127.0.0.1")).startswith(b"HTTP/1.1 200")


async def test_the_machines_own_people_get_in_all_the_same(serving: Serving) -> None:
    doors = Doors(1)
    serving.start(doors=doors)
    await serving.client()
    await serving.until(lambda: doors.count == 1)
    local = await serving.local_client(GET % b"/whoami")
    assert (await local.answer(f"uid:{os.getuid()}".encode())).startswith(b"HTTP/1.1 200")
    assert doors.count == 1


async def test_under_tls_who_makes_no_handshake_has_a_place_for_a_while(
    serving: Serving, tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    doors = Doors(2)
    serving.start(replace(PATIENT, handshake=0.2), doors, tls)
    silent = await serving.client()
    await serving.until(lambda: doors.count == 1)
    assert await silent.rest() == b""
    await serving.until(lambda: doors.count == 0)
    garbled = await serving.client(b"GET / HTTP/1.1\r\n\r\n" * 10)
    await garbled.rest()
    await serving.until(lambda: doors.count == 0)
    client = await serving.client(GET % b"/whoami", ssl=trusting)
    assert (await client.answer(b"127.0.0.1")).startswith(b"HTTP/1.1 200")
    assert doors.count == 1
    await client.close()
    await serving.until(lambda: doors.count == 0)


async def test_under_tls_who_finds_no_place_is_hung_up_on(serving: Serving, tls: ssl.SSLContext) -> None:
    doors = Doors(1)
    serving.start(doors=doors, tls=tls)
    await serving.client()
    await serving.until(lambda: doors.count == 1)
    assert await (await serving.client()).rest() == b""


@pytest.mark.parametrize("field", [b"", b"Connection: close\r\n"])
async def test_who_takes_nothing_of_an_answer_loses_its_place(serving: Serving, field: bytes) -> None:
    doors = Doors()
    serving.start(replace(PATIENT, unread=0.2), doors)
    await serving.client(b"GET /large HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n")
    await serving.until(lambda: bool(serving.app.asked))
    assert serving.app.asked == ["/large"]
    await serving.until(lambda: doors.count == 0)


def test_a_peer_has_so_many_places_and_others_theirs() -> None:
    doors = Doors(10, 2)
    places = [doors.enter("2606::1"), doors.enter("2606::2")]
    assert None not in places
    assert doors.enter("2606::3") is None
    assert doors.enter("2606:0:0:1::1") and doors.enter("192.0.2.1") and doors.enter("::ffff:192.0.2.1")
    assert doors.enter("192.0.2.1") is None
    first = places[0]
    assert first is not None
    first.leave()
    first.leave()
    assert (doors.count, doors.enter("2606::3") is None, doors.enter("2606::4")) == (4, False, None)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_a_proxy_on_this_machine_stands_for_many_peers(address: str) -> None:
    doors = Doors(3, 1)
    assert all(doors.enter(address) for _ in range(3))
    assert doors.enter(address) is None


def test_unless_told_half_of_the_descriptors_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (20, 20))
    doors = Doors()
    assert all(doors.enter("127.0.0.1") for _ in range(10))
    assert doors.enter("127.0.0.1") is None
