"""One JSON object a line, whatever is in it."""

import io
import json
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.system import log


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    before = structlog.get_config()
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_fields_and_their_order() -> None:
    stream = io.StringIO()
    log.configure(stream, process="mail0")
    structlog.get_logger("gateway.x").info("message_accepted", message_id="1", size=3)
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "logger", "process", "message_id", "size"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["logger"], line["process"]) == ("info", "gateway.x", "mail0")


@given(st.dictionaries(st.text(), st.text() | st.binary() | st.integers() | st.none(), max_size=4))
def test_nothing_breaks_a_line(fields: dict[str, Any]) -> None:
    stream = io.StringIO()
    log.configure(stream)
    logger = structlog.get_logger("x")
    logger.info("event", **{f"f_{key}": value for key, value in fields.items()})
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().isascii()
    assert len(lines(stream)[0]) == 4 + len(fields)


def test_odd_values_do_not_lose_the_line() -> None:
    stream = io.StringIO()
    log.configure(stream)
    ring: list[object] = []
    ring.append(ring)
    structlog.get_logger("x").info(
        "odd", ring=ring, error=ValueError("a\r\nb"), words={"b", "a"}, bad=b"\xff"
    )
    structlog.get_logger("x").info(
        "odd", error=ValueError("a\r\nb"), words={"b", "a"}, bad=b"\xff", lone="\udc80"
    )
    first, second = lines(stream)
    assert first["event"] == "'odd'"
    assert (second["error"], second["words"], second["bad"]) == ("a\r\nb", ["a", "b"], "\\xff")


def test_secrets_are_a_last_net() -> None:
    stream = io.StringIO()
    log.configure(stream)
    structlog.get_logger("x").warning("login", password="Hunter2", login="me")
    assert "Hunter2" not in stream.getvalue()
    assert lines(stream)[0]["login"] == "me"


def test_levels() -> None:
    stream = io.StringIO()
    log.configure(stream, "warning")
    logger = structlog.get_logger("x")
    logger.info("no")
    logger.error("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


def test_libraries_and_warnings_come_the_same_way() -> None:
    stream = io.StringIO()
    log.configure(stream)
    log.configure(stream)
    logging.getLogger("some.library").error("went %s", "wrong")
    logging.getLogger("some.library").info("chatter")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log.configure(stream)
        warnings.warn("beware", stacklevel=1)
    first, second = lines(stream)
    assert (first["event"], first["logger"], first["message"]) == (
        "library_message",
        "some.library",
        "went wrong",
    )
    assert "beware" in second["message"]


def test_aiosmtpds_log_of_commands_is_mute() -> None:
    stream = io.StringIO()
    log.configure(stream)
    logging.getLogger("mail.log").critical("AUTH PLAIN …")
    assert stream.getvalue() == ""


def test_exceptions_are_one_line() -> None:
    stream = io.StringIO()
    log.configure(stream)
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    assert "ValueError: no" in lines(stream)[0]["exception"]


def test_context_of_a_message_is_in_every_line() -> None:
    stream = io.StringIO()
    log.configure(stream)
    with structlog.contextvars.bound_contextvars(message_id="m1"):
        structlog.get_logger("x").info("a")
    structlog.get_logger("x").info("b")
    assert [line.get("message_id") for line in lines(stream)] == ["m1", None]


def test_a_pipe_gets_whole_lines_and_a_gone_reader_is_no_error() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    received = bytearray()

    def collect() -> None:
        while part := os.read(read, 4_096):
            received.extend(part)

    reader = threading.Thread(target=collect)
    with os.fdopen(write, "w") as stream:
        log.configure(stream)
        reader.start()
        for _ in range(20):
            structlog.get_logger("x").info("long", text="x" * 20_000)
    reader.join()
    os.close(read)
    assert len([json.loads(line) for line in received.splitlines()]) == 20
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        log.configure(stream)
        structlog.get_logger("x").info("nobody listens")
