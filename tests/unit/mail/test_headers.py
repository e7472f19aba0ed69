"""Headers: whatever comes in comes out again, and odd lines are seen as what readers see in them."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.headers import Field, HeaderBlock, count_header, parse_header, split_message

NAME = st.text(alphabet="abcXYZ-09!", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=40).map(lambda value: value.replace(b"\n", b""))
HEADERISH = st.lists(
    st.sampled_from([b"From", b":", b" ", b"\t", b"\r\n", b"\n", b"\r", b"a@b", b"\xe4", b"\x00", b"X-Y"]),
    max_size=30,
).map(b"".join)


def test_fields_folding_and_order() -> None:
    header = parse_header(b"Subject: one\r\n two\r\nFrom: a@b\r\nsubject:x\r\n")
    assert [field.name for field in header.fields] == [b"Subject", b"From", b"subject"]
    assert header.fields[0].raw == b"Subject: one\r\n two\r\n"
    assert [field.value for field in header.get_all(b"subject")] == [b"one two", b"x"]
    first = header.first(b"from")
    assert first is not None
    assert first.value == b"a@b"
    assert header.first(b"to") is None


def test_white_space_before_the_colon_hides_no_field() -> None:
    header = parse_header(b"From : a@b\r\nFrom\t: c@d\r\n")
    assert [field.value for field in header.get_all(b"from")] == [b"a@b", b"c@d"]


def test_lines_that_are_no_fields_have_no_name() -> None:
    lines = [
        b" begins with space\r\n",
        b"no colon\r\n",
        b"Two Words: x\r\n",
        b"\xe4: x\r\n",
        b": x\r\n",
        b"From\x00: x\r\n",
    ]
    for line in lines:
        header = parse_header(b"A: b\r\n" + line) if not line.startswith(b" ") else parse_header(line)
        assert header.malformed == (header.fields[-1],)
        assert header.fields[-1].raw == line
        assert header.get_all(b"from") == ()


def test_an_lf_alone_ends_a_line_too_so_that_no_field_hides_behind_it() -> None:
    header = parse_header(b"X: y\nFrom: a@b\r\n")
    assert [field.key for field in header.fields] == [b"x", b"from"]


def test_a_last_line_without_line_end_gets_one() -> None:
    assert parse_header(b"From: a@b").raw == b"From: a@b\r\n"
    assert split_message(b"From: a@b") == (b"From: a@b\r\n", b"")


def test_editing() -> None:
    header = parse_header(b"Bcc: x\r\nTo: y\r\nbCC: z\r\n w\r\n")
    assert header.without({b"bcc"}).raw == b"To: y\r\n"
    assert header.prepend(Field(b"Received", b"Received: q\r\n")).raw.startswith(b"Received: q\r\nBcc: x\r\n")


def test_splitting() -> None:
    assert split_message(b"A: b\r\n\r\nbody\r\n\r\nmore") == (b"A: b\r\n", b"body\r\n\r\nmore")
    assert split_message(b"\r\nbody") == (b"", b"body")
    assert split_message(b"") == (b"", b"")
    assert split_message(b"A: b\r\n") == (b"A: b\r\n", b"")
    assert split_message(b"\r\n\r\nx") == (b"", b"\r\nx")


@given(st.lists(st.tuples(NAME, VALUE), max_size=8), st.binary(max_size=50))
def test_well_formed_messages_come_back(fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    raws = [name + b": " + value.replace(b"\r", b"") + b"\r\n" for name, value in fields]
    block, rest = split_message(b"".join(raws) + b"\r\n" + body)
    header = parse_header(block)
    assert [field.raw for field in header.fields] == raws
    assert [field.name for field in header.fields] == [name for name, _ in fields]
    assert rest == body


@given(HEADERISH)
def test_parsing_is_the_identity_on_octets(block: bytes) -> None:
    header = parse_header(block)
    closed = block if not block or block.endswith(b"\n") else block + b"\r\n"
    assert header.raw == closed
    assert parse_header(header.raw) == header
    for field in header.fields:
        assert field.is_malformed == (field.name == b"")
        assert b"\n" not in field.value


@given(HEADERISH, st.binary(max_size=20))
def test_splitting_loses_nothing(head: bytes, body: bytes) -> None:
    content = head + body
    header, rest = split_message(content)
    joined = header + b"\r\n" + rest
    assert joined in (content, content + b"\r\n", content + b"\r\n\r\n")
    assert b"\r\n\r\n" not in header


@given(HEADERISH)
def test_counts_are_those_of_the_parsed_block(block: bytes) -> None:
    counts = count_header(block)
    assert counts.octets == len(block)
    fields = len(parse_header(block).fields)
    # Continuation lines at the very top belong to no field above them.
    assert fields - 1 <= counts.fields <= fields


def test_hostile_blocks_take_linear_time() -> None:
    started = time.perf_counter()
    assert len(parse_header(b"X: y\r\n" * 100_000).fields) == 100_000
    assert len(parse_header(b"a" * 10_000_000).fields) == 1
    assert len(parse_header(b"a \t" * 3_000_000).fields) == 1
    assert len(parse_header(b"A:\r\n" + b" \r\n" * 1_000_000).fields) == 1
    assert time.perf_counter() - started < 10


def test_an_empty_block() -> None:
    assert parse_header(b"") == HeaderBlock(())
    assert count_header(b"").fields == 0
