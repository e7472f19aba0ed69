"""Which addresses strangers may send us to, and that the one that was checked is the one that is used."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.system.dns import NoSuchName
from gateway.system.webclient import (
    Streams,
    Target,
    TargetRefused,
    WebClient,
    WebError,
    parse_target,
)


def test_a_target_is_read() -> None:
    assert parse_target("https://Hooks.Example.COM/a/b?c=d") == Target(
        "https", "hooks.example.com", 443, "/a/b?c=d"
    )
    assert parse_target("https://bücher.example:8443").authority == "xn--bcher-kva.example:8443"
    assert parse_target("https://[2606:4700::1111]/").authority == "[2606:4700::1111]"
    assert parse_target("http://127.0.0.1:8080/x", allow_private=True).authority == "127.0.0.1:8080"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/", "ftp://example.com/", "https://", "https:///x", "//example.com/",
        "https://user@example.com/", "https://u:p@example.com/", "https://example.com/#x",
        "https://example.com\\@10.0.0.1/", "https://exa mple.com/", "https://example.com/\r\nX: y",
        "https://example.com:0/", "https://example.com:99999/", "https://[::1]/", "https://127.0.0.1/",
        "https://10.0.0.1:8443/", "https://2130706433/", "https://0x7f000001/", "https://127.1/",
        "https://0177.0.0.1/", "https://localhost/", "https://a.localhost/", "https://db.internal/",
        "https://printer.local/", "https://intranet/", "https://[::ffff:10.0.0.1]/", "https://-a.example/",
        "https://[2606:4700::1111%25eth0]/", "https://%31%30.0.0.1/",
        "https://example.com/ü", "https://" + "a" * 2000,
    ],
)  # fmt: skip
def test_targets_that_are_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        parse_target(url)


def test_a_refusal_never_repeats_the_url() -> None:
    with pytest.raises(TargetRefused) as caught:
        parse_target("https://me:token-7@example.com/secret")
    assert "token-7" not in str(caught.value) and "secret" not in str(caught.value)


class Answers:
    """A resolver that gives one answer after the other, and counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Line:
    """Where connections go, and what the far end says on them."""

    def __init__(self, answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n") -> None:
        self.answer = answer
        self.opened: list[tuple[str, int, bool, str | None]] = []
        self.sent = bytearray()

    async def __call__(
        self, address: str, port: int, *, ssl: object, server_hostname: str | None, limit: int
    ) -> Streams:
        self.opened.append((address, port, ssl is not None, server_hostname))
        reader = asyncio.StreamReader(limit=limit)
        reader.feed_data(self.answer)
        reader.feed_eof()
        return reader, Sink(self.sent)  # type: ignore[return-value]


class Sink:
    """The writing half of a connection."""

    def __init__(self, sent: bytearray) -> None:
        self.write = sent.extend
        self.transport = self

    async def drain(self) -> None:
        pass

    def abort(self) -> None:
        pass


TARGET = parse_target("https://hooks.example.com/in")


async def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    answers, line = Answers(["93.184.216.34"], ["127.0.0.1"]), Line()
    client = WebClient(answers, connect=line)
    assert await client.post(TARGET, {"X-A": "b"}, b"body") == 204
    assert answers.asked == 1
    assert line.opened == [("93.184.216.34", 443, True, "hooks.example.com")]
    assert line.sent.startswith(b"POST /in HTTP/1.1\r\nHost: hooks.example.com\r\nX-A: b\r\n")
    assert line.sent.endswith(b"Content-Length: 4\r\nConnection: close\r\n\r\nbody")
    # The name answers differently now: it is looked up again, and refused before anything is opened.
    with pytest.raises(TargetRefused) as refused:
        await client.post(TARGET, {}, b"")
    assert str(refused.value) == "hooks.example.com leads to an address that is not public"
    assert refused.value.seen == "127.0.0.1"
    assert len(line.opened) == 1


async def test_one_closed_address_among_open_ones_refuses_the_name() -> None:
    line = Line()
    client = WebClient(Answers(["93.184.216.34", "10.0.0.5"]), connect=line)
    with pytest.raises(TargetRefused):
        await client.post(TARGET, {}, b"")
    assert line.opened == []


async def test_private_addresses_where_the_operator_allows_them() -> None:
    line = Line()
    client = WebClient(Answers(["10.0.0.5"]), connect=line, allow_private=True)
    assert await client.post(parse_target("http://intranet:81/", allow_private=True), {}, b"") == 204
    assert line.opened == [("10.0.0.5", 81, False, None)]


async def test_a_name_that_does_not_exist_is_an_error_to_try_again() -> None:
    async def nobody(host: str) -> Sequence[str]:
        raise NoSuchName(host)

    with pytest.raises(WebError, match="does not exist"):
        await WebClient(nobody).post(TARGET, {}, b"")
    with pytest.raises(WebError, match="no address"):
        await WebClient(Answers([])).post(TARGET, {}, b"")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "ended before an answer"),
        (b"SSH-2.0-x\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 999 x\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", "more than 16384"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 6, "never came to its end"),
    ],
)
async def test_what_is_no_answer(answer: bytes, problem: str) -> None:
    client = WebClient(Answers(["93.184.216.34"]), connect=Line(answer))
    with pytest.raises(WebError, match=problem):
        await client.post(TARGET, {}, b"")


async def test_interim_answers_are_passed_over() -> None:
    line = Line(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 503\r\n\r\nbody")
    assert await WebClient(Answers(["93.184.216.34"]), connect=line).post(TARGET, {}, b"") == 503


async def test_a_field_cannot_hold_another_field() -> None:
    client = WebClient(Answers(["93.184.216.34"]), connect=Line())
    with pytest.raises(ValueError, match="printable"):
        await client.post(TARGET, {"A": "b\r\nC: d"}, b"")
