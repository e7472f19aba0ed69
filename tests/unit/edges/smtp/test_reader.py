"""The readers against naive models, with the input cut in every possible way."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.edges.smtp.reader import (
    BdatEnd,
    BdatReader,
    CommandFault,
    CommandReader,
    DataEnd,
    DataReader,
    parse_bdat_argument,
)

# All that has ever ended a message for one server and not for another.
SMUGGLING = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n. \r\n",
    b"\n\r.\r\n",
    b"\r\n.\n\r\n",
    b".\r\n",
    b"\r\n..\r\n",
]
PIECES = st.lists(
    st.sampled_from([*SMUGGLING, b"\r\n", b"\r", b"\n", b".", b"..", b"a", b"\x00", b"QUIT"]), max_size=25
).map(b"".join)
CUTS = st.lists(st.integers(1, 7), max_size=40)


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    """`stream` in pieces of `sizes` octets, the rest in one."""
    pieces, position = [], 0
    for size in sizes:
        pieces.append(stream[position : position + size])
        position += size
    return [*pieces, stream[position:]]


def naive_data(stream: bytes) -> tuple[bytes, bytes] | None:
    """Message and what follows it, by the letter of RFC 5321 §4.5.2, line by line; None without an end."""
    lines, position = [], 0
    while True:
        end = stream.find(b"\r\n", position)
        if end < 0:
            return None
        line = stream[position:end]
        position = end + 2
        if line == b".":
            return b"".join(lines), stream[position:]
        lines.append((line[1:] if line.startswith(b".") else line) + b"\r\n")


def read_data(stream: bytes, sizes: list[int], limit: int) -> tuple[DataEnd | None, bytes]:
    reader, buffer, rest = DataReader(limit), bytearray(), cut(stream, sizes)
    for number, piece in enumerate(rest):
        buffer += piece
        end = reader.feed(buffer)
        if end is not None:
            return end, bytes(buffer) + b"".join(rest[number + 1 :])
        assert len(buffer) <= limit * 3 // 2 + len(piece) + 8
    return None, bytes(buffer)


@given(PIECES, CUTS)
@example(b".\r\n", [])
@example(b".\r\nQUIT\r\n", [1, 1, 1])
@example(b"..\r\n.\r\n", [1])
@example(b"\r\n.\r\n", [1, 1, 1, 1])
@example(b"a\r\n..\r\n.\r\n.\r\n", [2, 2, 2, 2])
def test_data_against_the_model(stream: bytes, sizes: list[int]) -> None:
    end, rest = read_data(stream, sizes, limit=10_000)
    expected = naive_data(stream)
    if expected is None:
        assert end is None
        assert rest == stream
    else:
        assert end is not None
        assert (end.content, rest) == expected
        assert not end.too_big
        assert end.octets == len(stream) - len(rest)


@given(PIECES, CUTS, st.integers(0, 30))
def test_data_over_the_limit_ends_where_it_ends(stream: bytes, sizes: list[int], limit: int) -> None:
    end, rest = read_data(stream, sizes, limit)
    expected = naive_data(stream)
    if expected is None:
        assert end is None
        return
    assert end is not None
    content, remaining = expected
    assert rest == remaining
    assert end.too_big == (len(content) > limit)
    assert end.content == (b"" if end.too_big else content)
    assert end.octets == len(stream) - len(rest)


@pytest.mark.parametrize("trick", SMUGGLING[:-2])
def test_no_trick_ends_a_message(trick: bytes) -> None:
    stream = b"Subject: x\r\n\r\nhello" + trick + b"MAIL FROM:<evil@example.com>\r\n.\r\n"
    end, rest = read_data(stream, [], 10_000)
    assert end is not None
    assert b"MAIL FROM:<evil@example.com>\r\n" in end.content
    assert rest == b""


@given(st.binary(max_size=60))
def test_dot_stuffing_is_undone(content: bytes) -> None:
    content += b"\r\n"
    stuffed = re.sub(rb"(\A|\r\n)\.", rb"\1..", content)
    end, rest = read_data(stuffed + b".\r\n", [5], 1_000)
    assert end is not None
    assert (end.content, rest) == (content, b"")


def test_the_limit_counts_no_stuffed_dots() -> None:
    content = b".\r\n" * 1000
    stream = b"..\r\n" * 1000 + b".\r\n"
    end, _ = read_data(stream, [64] * 60, limit=len(content))
    assert end is not None
    assert end.content == content
    end, _ = read_data(stream, [64] * 60, limit=len(content) - 1)
    assert end is not None
    assert end.too_big


def test_an_endless_line_stays_in_bounded_memory() -> None:
    reader, buffer = DataReader(100_000), bytearray()
    for _ in range(200):
        buffer += b"x" * 10_000
        assert reader.feed(buffer) is None
        assert len(buffer) <= 150_000
    buffer += b"\r\n."
    assert reader.feed(buffer) is None
    buffer += b"\r\nQUIT\r\n"
    end = reader.feed(buffer)
    assert end == DataEnd(b"", too_big=True, octets=2_000_005)
    assert buffer == b"QUIT\r\n"


def test_tiny_pieces_cost_no_more_than_their_number() -> None:
    reader, buffer = DataReader(10_000_000), bytearray(b"..\r\n" * 500_000)
    started = time.perf_counter()
    assert reader.feed(buffer) is None
    for _ in range(20_000):
        buffer += b"x"
        assert reader.feed(buffer) is None
    assert time.perf_counter() - started < 5


# --- commands


def naive_commands(stream: bytes, limit: int) -> tuple[list[bytes | CommandFault], bytes]:
    """What commands there are up to the first bare newline, octet by octet, and what is left over."""
    found: list[bytes | CommandFault] = []
    position = 0
    while (end := stream.find(b"\n", position)) >= 0:
        line = stream[position : end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            return [*found, CommandFault.BARE_NEWLINE], b""
        found.append(CommandFault.TOO_LONG if len(line) > limit else line[:-2])
        position = end + 1
    return found, stream[position:]


@given(
    st.lists(st.sampled_from([b"\r\n", b"\r\n", b"\n", b"\r", b"NOOP", b"x" * 9]), max_size=20).map(b"".join),
    CUTS,
    st.integers(2, 25),
)
def test_commands_against_the_model(stream: bytes, sizes: list[int], limit: int) -> None:
    reader, buffer = CommandReader(limit), bytearray()
    found: list[bytes | CommandFault] = []
    for piece in cut(stream, sizes):
        buffer += piece
        while (line := reader.feed(buffer)) is not None:
            found.append(line)
            if line is CommandFault.BARE_NEWLINE:
                break
        assert len(buffer) <= limit
        if found and found[-1] is CommandFault.BARE_NEWLINE:
            assert buffer == b""
            break
    expected, rest = naive_commands(stream, limit)
    assert found == expected
    assert len(rest) > limit or bytes(buffer) == rest


def test_pipelined_commands_stay_in_order() -> None:
    reader, buffer = CommandReader(), bytearray(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nhel")
    assert [reader.feed(buffer) for _ in range(4)] == [b"MAIL FROM:<>", b"RCPT TO:<a@b>", b"DATA", None]
    assert buffer == b"hel"


def test_what_follows_a_bare_newline_is_never_a_command() -> None:
    reader, buffer = CommandReader(), bytearray(b"NOOP\nMAIL FROM:<>\r\n")
    assert reader.feed(buffer) is CommandFault.BARE_NEWLINE
    assert buffer == b""


def test_a_line_too_long_is_one_fault_and_then_over() -> None:
    reader, buffer = CommandReader(limit=20), bytearray()
    for _ in range(1_000):
        buffer += b"x" * 100
        assert reader.feed(buffer) is None
        assert len(buffer) <= 20
    buffer += b"\r\nNOOP\r\n"
    assert reader.feed(buffer) is CommandFault.TOO_LONG
    assert reader.feed(buffer) == b"NOOP"


# --- BDAT


@given(
    st.lists(st.tuples(st.binary(max_size=20), st.booleans()), min_size=1, max_size=5),
    CUTS,
    st.integers(0, 60),
)
def test_chunks_make_the_message(chunks: list[tuple[bytes, bool]], sizes: list[int], limit: int) -> None:
    chunks = [(content, False) for content, _ in chunks[:-1]] + [(chunks[-1][0], True)]
    message = b"".join(content for content, _ in chunks)
    pieces = cut(message + b"QUIT\r\n", sizes)
    reader, buffer = BdatReader(limit), bytearray()
    ends = []
    for content, last in chunks:
        reader.begin(len(content), last=last)
        while (end := reader.feed(buffer)) is None:
            buffer += pieces.pop(0)
            assert len(buffer) <= len(message) + 6
        ends.append(end)
    total = 0
    for (content, last), end in zip(chunks, ends, strict=True):
        total += len(content)
        too_big = total > limit
        assert end == BdatEnd(len(content), total, last, too_big, message if last and not too_big else b"")
    assert bytes(buffer) + b"".join(pieces) == b"QUIT\r\n"


def test_any_octet_travels_and_nothing_ends_a_chunk_early() -> None:
    content = bytes(range(256)) + b"\r\n.\r\nQUIT\r\n"
    reader, buffer = BdatReader(1_000), bytearray(content + b"NOOP\r\n")
    reader.begin(len(content), last=True)
    end = reader.feed(buffer)
    assert end is not None
    assert end.content == content
    assert buffer == b"NOOP\r\n"


def test_an_empty_last_chunk_needs_no_octet() -> None:
    reader, buffer = BdatReader(10), bytearray(b"abcNOOP\r\n")
    reader.begin(3, last=False)
    assert reader.feed(buffer) == BdatEnd(3, 3, False, False)
    reader.begin(0, last=True)
    assert reader.feed(buffer) == BdatEnd(0, 3, True, False, b"abc")
    assert buffer == b"NOOP\r\n"


def test_a_chunk_over_the_limit_is_thrown_away_as_it_comes() -> None:
    reader, buffer = BdatReader(1_000), bytearray()
    reader.begin(10**12, last=True)
    for _ in range(100):
        buffer += b"x" * 65_536
        assert reader.feed(buffer) is None
        assert buffer == b""


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (b"0", (0, False)),
        (b"86 LAST", (86, True)),
        (b"86 last", (86, True)),
        (b"0  LAST ", (0, True)),
        (b"007", (7, False)),
    ],
)
def test_bdat_arguments(argument: bytes, expected: tuple[int, bool]) -> None:
    assert parse_bdat_argument(argument) == expected


@pytest.mark.parametrize(
    "argument",
    [b"", b"-1", b"+1", b"x", b"1 FIRST", b"LAST", b"1LAST", b"1 LAST x", b"1" * 20, b"1_0", b"1\n"],
)
def test_bdat_mistakes(argument: bytes) -> None:
    with pytest.raises(ValueError, match="octets"):
        parse_bdat_argument(argument)
