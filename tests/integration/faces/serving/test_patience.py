"""Requests that do not come to their end cost a connection for seconds, not for ever."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.integration.faces.serving.conftest import PATIENT, Serving

SHORT = 0.2
HEAD = replace(PATIENT, head=SHORT)
BODY = replace(PATIENT, body=SHORT)
GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


def problem_in(answer: bytes) -> tuple[int, str, str]:
    """Status, code and detail of an answer that ends a connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = head.lower().split(b"\r\n")
    assert b"connection: close" in fields
    assert b"content-length: %d" % len(body) in fields
    document = json.loads(body)
    assert int(head.split()[1]) == document["status"]
    return document["status"], document["code"], document["detail"]


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", GET[:-2] % b"/whoami"])
async def test_a_head_without_end(serving: Serving, begun: bytes) -> None:
    serving.start(HEAD)
    client = await serving.client(begun)
    assert problem_in(await client.rest()) == (
        408, "request-timeout", "The head of the request did not come to its end in time.",
    )  # fmt: skip
    assert serving.app.asked == []


async def test_a_head_too_long(serving: Serving) -> None:
    serving.start()
    client = await serving.client((GET[:-2] % b"/whoami" + b"X: ").ljust(64 * 1024, b"x"))
    client.send(b"x")
    assert problem_in(await client.rest())[:2] == (431, "request-header-too-large")


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"])
async def test_a_connection_that_asks_nothing_is_closed_without_a_word(serving: Serving, sent: bytes) -> None:
    serving.start(HEAD)
    assert await (await serving.client(sent)).rest() == b""


@pytest.mark.parametrize("begun", [b"GET /", b"\r\n"])
async def test_a_head_without_end_after_a_request(serving: Serving, begun: bytes) -> None:
    serving.start(HEAD)
    client = await serving.client(GET % b"/whoami")
    await client.answer(b"127.0.0.1")
    client.send(begun)
    assert problem_in(await client.rest())[0] == 408


@pytest.mark.parametrize(
    "head", [POST % (b"/read", 100), b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"]
)
async def test_a_body_without_end(serving: Serving, head: bytes) -> None:
    """Its handler learns that nobody waits for an answer."""
    serving.start(replace(BODY, octets_per_second=10**12))
    client = await serving.client(head + b"5\r\nhello\r\n")
    assert problem_in(await client.rest()) == (
        408, "request-timeout", "The body of the request did not come to its end in time.",
    )  # fmt: skip
    await serving.until(lambda: serving.app.gone == ["/read"])


async def test_a_large_body_has_the_time_of_a_slow_line(serving: Serving) -> None:
    serving.start(BODY)
    large = await serving.client(POST % (b"/read", 1_000_000) + b"x")
    small = await serving.client(POST % (b"/read", 10) + b"x")
    assert problem_in(await small.rest())[0] == 408
    large.send(b"x" * 999_999)
    assert (await large.answer(b"1000000")).startswith(b"HTTP/1.1 200")


async def test_what_is_left_of_a_body_that_was_answered_unread_has_little_time(serving: Serving) -> None:
    """So it is with everybody who has no key."""
    serving.start(BODY)
    client = await serving.client(POST % (b"/unread", 60_000_000) + b"x")
    answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 200") and b"408" not in answer


@pytest.mark.parametrize("path", [b"/wait", b"/stream"])
@pytest.mark.parametrize("behind", [b"", b"GET /", POST % (b"/read", 10)])
async def test_an_answer_in_progress_takes_its_time(serving: Serving, path: bytes, behind: bytes) -> None:
    """Whatever stands behind its request; another connection shows when the patience is over."""
    serving.start(replace(PATIENT, head=SHORT, body=SHORT))
    reader = await serving.client(GET % path + behind)
    await serving.until(lambda: serving.app.asked == [path.decode()])
    for _ in range(2):
        assert problem_in(await (await serving.client(b"GET /")).rest())[0] == 408
    serving.app.release.set()
    assert (await reader.answer(b"127.0.0.1")).startswith(b"HTTP/1.1 200")
    if behind:
        assert b"408" in await reader.rest()


async def test_a_body_counts_for_no_head(serving: Serving) -> None:
    serving.start()
    client = await serving.client(POST % (b"/read", 100_000) + b"x" * 99_000)
    client.send(b"x" * 1_000 + GET[:-2] % b"/whoami")
    await client.answer(b"100000")
    client.send(b"X: " + b"x" * 60_000)
    client.send(b"\r\n\r\n")
    assert (await client.answer(b"127.0.0.1")).startswith(b"HTTP/1.1 200")


async def test_an_idle_connection_is_kept_for_the_next_request(serving: Serving) -> None:
    serving.start(replace(PATIENT, head=SHORT, body=SHORT))
    idle = await serving.client(GET % b"/whoami")
    await idle.answer(b"127.0.0.1")
    for _ in range(2):
        assert problem_in(await (await serving.client(b"GET /")).rest())[0] == 408
    idle.send(POST % (b"/read", 5) + b"hello" + GET % b"/whoami")
    assert (await idle.answer(b"127.0.0.1")).count(b"HTTP/1.1 200") == 2
