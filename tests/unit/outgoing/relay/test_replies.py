"""Replies, however they are cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outgoing.relay.replies import PeerReply, ReplyError, ReplyReader, printable

TEXTS = st.binary(max_size=40).map(lambda octets: octets.replace(b"\r", b"").replace(b"\n", b""))
REPLIES = st.lists(
    st.tuples(st.integers(200, 599), st.lists(TEXTS, min_size=1, max_size=4)), min_size=1, max_size=6
)


def wire(code: int, texts: list[bytes], end: bytes = b"\r\n") -> bytes:
    lines = [b"%d-%s" % (code, text) for text in texts[:-1]] + [b"%d %s" % (code, texts[-1])]
    return b"".join(line + end for line in lines)


@given(replies=REPLIES, data=st.data(), end=st.sampled_from([b"\r\n", b"\n"]))
def test_any_chunking_gives_the_same_replies(
    replies: list[tuple[int, list[bytes]]], data: st.DataObject, end: bytes
) -> None:
    octets = b"".join(wire(code, texts, end) for code, texts in replies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    reader = ReplyReader()
    found: list[PeerReply] = []
    for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        found += reader.feed(octets[start:stop])
    expected = [
        PeerReply(code, b"\n".join(text.removesuffix(b"\r") for text in texts)) for code, texts in replies
    ]
    assert [(one.code, one.octets) for one in found] == [(one.code, one.octets) for one in expected]
    assert reader.is_between_replies


@given(octets=st.binary(max_size=300))
def test_anything_else_is_refused_with_reply_error_and_nothing_else(octets: bytes) -> None:
    reader = ReplyReader()
    try:
        for reply in reader.feed(octets) + reader.feed(b"\r\n"):
            assert 200 <= reply.code <= 599
            assert reply.text.isprintable()
            assert reply.text.isascii()
    except ReplyError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    "octets",
    [
        b"199 x\r\n",
        b"600 x\r\n",
        b"25 x\r\n",
        b"250x\r\n",
        b"\r\n",
        b" 250 x\r\n",
        b"250-a\r\n251 b\r\n",
        b"HTTP/1.1\r\n",
    ],
)
def test_what_is_no_reply(octets: bytes) -> None:
    with pytest.raises(ReplyError):
        ReplyReader().feed(octets)


def test_endless_lines_and_endless_replies_are_cut_off() -> None:
    with pytest.raises(ReplyError):
        ReplyReader().feed(b"250 " + b"x" * 5000)
    reader = ReplyReader()
    with pytest.raises(ReplyError):
        for _ in range(1000):
            reader.feed(b"250-" + b"x" * 500 + b"\r\n")


@pytest.mark.parametrize(
    ("reply", "enhanced"),
    [
        (PeerReply(250, b"2.1.5 ok"), "2.1.5"),
        (PeerReply(550, b"5.7.26\nmore"), "5.7.26"),
        (PeerReply(550, b"4.7.1 other class"), None),
        (PeerReply(550, b"5.1.1.1 no"), None),
        (PeerReply(550, b"no such user 5.1.1"), None),
        (PeerReply(421, b""), None),
    ],
)
def test_enhanced_codes_count_only_at_the_start_and_in_their_class(
    reply: PeerReply, enhanced: str | None
) -> None:
    assert reply.enhanced == enhanced


def test_text_is_one_harmless_line() -> None:
    assert PeerReply(550, "5.1.1 größe\r\0\x1b[31m\nsecond".encode()).text == "550 5.1.1 gr??e???[31m second"
    assert len(printable(b"x" * 5000)) == 1000
