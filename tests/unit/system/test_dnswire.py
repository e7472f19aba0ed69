"""Octets of DNS: what another library writes is read the same; what is odd is refused."""

from __future__ import annotations

import contextlib

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.system.authority.reading import delegation, observed
from gateway.system.authority.wire import (
    LONGEST_MESSAGE,
    Malformed,
    decode_reply,
    echoes,
    encode_query,
    encode_question,
)
from gateway.system.observation import Question

ASKED = Question("_dmarc.acme.test", "TXT")


def answer(*rows: tuple[str, int, str, str], question: Question = ASKED, authority: tuple[tuple[str, int, str, str], ...] = (), rcode: int = 0, aa: bool = True) -> tuple[bytes, bytes]:  # fmt: skip
    """A message as another library writes it, and its question section."""
    section = encode_question(question, (1 << 256) - 1)
    query = dns.message.from_wire(encode_query(7, section, recursive=False))
    reply = dns.message.make_response(query)
    reply.set_rcode(rcode)
    if aa:
        reply.flags |= dns.flags.AA
    for sort, rows_of in ((reply.answer, rows), (reply.authority, authority)):
        sort.extend(
            dns.rrset.from_text(f"{name}.", ttl, "IN", kind, value) for name, ttl, kind, value in rows_of
        )
    return reply.to_wire(max_size=65_535), section


def seen(*rows: tuple[str, int, str, str], **options: object) -> object:
    message, section = answer(*rows, **options)  # type: ignore[arg-type]
    return observed(options.get("question", ASKED), decode_reply(message, section))  # type: ignore[arg-type]


def test_a_question_is_one_that_others_read() -> None:
    message = encode_query(4711, encode_question(ASKED, 0b1010101), recursive=True)
    query = dns.message.from_wire(message)
    assert (query.id, query.edns, query.payload) == (4711, 0, 1232)
    assert query.flags & dns.flags.RD
    assert query.question[0].name == dns.name.from_text("_dmarc.acme.test.")
    assert query.question[0].name.to_text() != "_dmarc.acme.test."


def test_only_the_same_question_with_the_same_capitals_is_its_echo() -> None:
    message, section = answer(("_dmarc.acme.test", 60, "TXT", '"x"'))
    assert echoes(message, section)
    assert not echoes(message, section.lower())
    assert not echoes(encode_query(7, section, recursive=False), section)
    assert not echoes(message, encode_question(Question("other.test", "TXT"), 0))
    assert not echoes(message[:20], section)


def test_values_are_as_people_write_them() -> None:
    found = observed(ASKED, decode_reply(*answer(("_DMARC.acme.test", 60, "TXT", '"v=DMARC1; " "p=none"'))))
    assert (found.outcome, found.answers, found.seconds) == ("found", ("v=DMARC1; p=none",), 60.0)
    for kind, value, shown in [
        ("MX", "10 MX.acme.test.", "10 mx.acme.test"),
        ("MX", "0 .", "0 "),
        ("A", "192.0.2.7", "192.0.2.7"),
        ("AAAA", "2001:db8::7", "2001:db8::7"),
        ("NS", "ns1.acme.test.", "ns1.acme.test"),
        ("CNAME", "other.test.", "other.test"),
        ("SRV", "1 2 3 host.test.", "1 2 3 host.test"),
    ]:
        question = Question("acme.test", kind)
        message, section = answer(("acme.test", 60, kind, value), question=question)
        assert observed(question, decode_reply(message, section)).answers == (shown,)


def test_marks_that_cannot_be_shown_are_spelled() -> None:
    found = observed(
        ASKED, decode_reply(*answer(("_dmarc.acme.test", 60, "TXT", '"a\\027[1m\\226\\128\\156b"')))
    )
    assert found.answers == ("a\\x1b[1m\u201cb",)


def test_absence_with_the_time_for_which_it_holds() -> None:
    soa = (("acme.test", 900, "SOA", "ns1.acme.test. h.acme.test. 1 2 3 4 300"),)
    gone = observed(ASKED, decode_reply(*answer(authority=soa, rcode=dns.rcode.NXDOMAIN)))
    assert (gone.outcome, gone.seconds, gone.zone) == ("no-such-name", 300.0, "acme.test")
    empty = observed(ASKED, decode_reply(*answer(authority=soa)))
    assert (empty.outcome, empty.answers) == ("absent", ())


def test_aliases_are_followed_as_far_as_the_answer_tells() -> None:
    rows = [("_dmarc.acme.test", 60, "CNAME", "a.test."), ("a.test", 30, "CNAME", "b.test.")]
    out = observed(ASKED, decode_reply(*answer(*rows)))
    assert (out.chain, out.is_unfollowed) == (("a.test", "b.test"), True)
    whole = observed(ASKED, decode_reply(*answer(*rows, ("b.test", 90, "TXT", '"x"'))))
    assert (whole.chain, whole.answers, whole.seconds) == (("a.test", "b.test"), ("x",), 30.0)


@pytest.mark.parametrize(
    "rows",
    [
        [("_dmarc.acme.test", 60, "CNAME", "_dmarc.acme.test.")],
        [("_dmarc.acme.test", 60, "CNAME", "a.test."), ("a.test", 60, "CNAME", "_dmarc.acme.test.")],
        [("_dmarc.acme.test", 60, "CNAME", "a0.test."), *((f"a{n}.test", 60, "CNAME", f"a{n + 1}.test.") for n in range(20))],
    ],
)  # fmt: skip
def test_aliases_in_a_circle_are_no_answer(rows: list[tuple[str, int, str, str]]) -> None:
    with pytest.raises(Malformed, match="circle"):
        observed(ASKED, decode_reply(*answer(*rows)))


def test_a_referral_is_told_from_an_answer() -> None:
    below = (("acme.test", 60, "NS", "ns1.acme.test."),)
    reply = decode_reply(*answer(authority=below, aa=False))
    found = delegation(ASKED, reply, "test")
    assert found is not None
    assert (found.zone, found.servers) == ("acme.test", ("ns1.acme.test",))
    assert delegation(ASKED, reply, "acme.test") is None
    assert delegation(Question("other.test", "TXT"), reply, "test") is None
    assert delegation(ASKED, decode_reply(*answer(authority=below)), "test") is None


def test_answers_that_are_too_much() -> None:
    many = dns.rrset.from_text_list("_dmarc.acme.test.", 60, "IN", "TXT", [f'"{n}"' for n in range(400)])
    message, section = answer()
    reply = dns.message.from_wire(message)
    reply.answer.append(many)
    with pytest.raises(Malformed, match="400 records"):
        decode_reply(reply.to_wire(max_size=65_535), section)
    with pytest.raises(Malformed, match="octets"):
        decode_reply(message + bytes(LONGEST_MESSAGE), section)
    with pytest.raises(Malformed, match="NUL"):
        decode_reply(*answer(("_dmarc.acme.test", 60, "TXT", '"a\\000b"')))


def test_names_that_only_pretend() -> None:
    message, section = answer(("_dmarc.acme.test", 60, "TXT", '"x"'))
    place = 12 + len(section)
    itself = message[:place] + bytes([0xC0 | place >> 8, place & 0xFF]) + message[place + 2 :]
    with pytest.raises(Malformed, match="forward"):
        decode_reply(itself, section)
    with pytest.raises(Malformed, match="unknown kind"):
        decode_reply(message[:place] + b"\x80" + message[place + 1 :], section)
    for name in ("a..test", "a" * 64 + ".test", ".".join(["a" * 60] * 5), "what?.test", "\\000.test"):
        with pytest.raises(Malformed):
            encode_question(Question(name, "TXT"), 0)


@given(st.binary(max_size=300))
def test_no_octets_break_it(octets: bytes) -> None:
    message, section = answer(("_dmarc.acme.test", 60, "TXT", '"x"'))
    with contextlib.suppress(Malformed):
        observed(ASKED, decode_reply(message[: 12 + len(section)] + octets, section))


@given(st.integers(12, 60), st.integers(0, 255))
def test_no_changed_octet_breaks_it(place: int, octet: int) -> None:
    rows = [("_dmarc.acme.test", 60, "CNAME", "a.test."), ("a.test", 60, "TXT", '"x"')]
    message, section = answer(*rows)
    changed = message[:place] + bytes([octet]) + message[place + 1 :]
    with contextlib.suppress(Malformed):
        observed(ASKED, decode_reply(changed, section))


@given(
    st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4),
    st.lists(st.binary(max_size=255).filter(lambda one: 0 not in one), min_size=1, max_size=3),
)
def test_any_text_under_any_name_is_read(labels: list[bytes], strings: list[bytes]) -> None:
    owner = dns.name.Name([*labels, b"test", b""])
    quoted = " ".join('"' + "".join(f"\\{octet:03d}" for octet in one) + '"' for one in strings)
    message, section = answer(("_dmarc.acme.test", 60, "CNAME", owner.to_text()))
    reply = dns.message.from_wire(message)
    reply.answer.append(dns.rrset.from_text(owner.to_text(), 60, "IN", "TXT", quoted))
    found = observed(ASKED, decode_reply(reply.to_wire(), section))
    joined = b"".join(strings).decode("utf-8", "replace")
    shown = joined if joined.isprintable() else None
    assert len(found.answers) == 1
    assert shown is None or found.answers == (shown,)
