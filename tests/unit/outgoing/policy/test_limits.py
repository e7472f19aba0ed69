"""What a message may be like: each limit with its reply, which names limit and document."""

from __future__ import annotations

import base64

import pytest

from gateway.mail.reply import Refusal
from gateway.outgoing.policy import Ceilings, check_message_bytes, check_recipients
from tests.unit.outgoing.policy.cases import envelope, facts, identity, judge, message, policy, refusal

PROGRAM = base64.encodebytes(b"MZ" + b"\x90" * 200).replace(b"\n", b"\r\n")


def with_attachments(*parts: tuple[str, bytes]) -> bytes:
    """A message with parts; each is (its header, its body)."""
    body = b""
    for header, content in parts:
        body += b"--b\r\n" + header.encode() + b"\r\n\r\n" + content + b"\r\n"
    return message(
        "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"', body=body + b"--b--\r\n"
    )


def attachment(name: str, kind: str = "application/octet-stream", content: bytes = b"x") -> tuple[str, bytes]:
    """A part that is an attachment."""
    header = f'Content-Type: {kind}\r\nContent-Disposition: attachment; filename="{name}"'
    octets = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return f"{header}\r\nContent-Transfer-Encoding: base64", octets


def test_message_bytes() -> None:
    """One octet over is refused for good; the limit itself is not."""
    content = message(body=b"x" * 98 + b"\r\n")
    who = identity(f"[limits]\nmessage_bytes = {len(content)}")
    assert judge(content, who=who).action == "accept"
    rule, reply = refusal(judge(content[:-2] + b"y\r\n", who=who))
    assert rule == "limits.message_bytes"
    expected = (
        f"message of {len(content) + 1} octets is over the limit of {len(content)} octets (policy test)"
    )
    assert reply == f"552 5.3.4 {expected}"


def test_declared_size_is_checked_early() -> None:
    """SIZE= at MAIL FROM gives the same reply."""
    check_message_bytes(policy("[limits]\nmessage_bytes = 10"), 10)
    with pytest.raises(Refusal) as refused:
        check_message_bytes(policy("[limits]\nmessage_bytes = 10"), 11)
    assert refused.value.reply.code == 552


def test_recipients_per_message() -> None:
    """The rest may go in another message: 452 (RFC 5321 §4.5.3.1.10)."""
    limited = "[limits]\nrecipients_per_message = 2"
    check_recipients(policy(limited), 2)
    with pytest.raises(Refusal):
        check_recipients(policy(limited), 3)
    many = envelope(recipients=[f"r{n}@there.example" for n in range(3)])
    rule, reply = refusal(judge(message(), many, identity(limited)))
    assert rule == "limits.recipients_per_message"
    assert reply == "452 4.5.3 limit of 2 recipients per message reached (policy test)"


def test_nul() -> None:
    """In header and in body."""
    for content in (message("Subject: a\x00b"), message(body=b"a\x00b\r\n")):
        assert refusal(judge(content)) == ("content.nul", "550 5.6.0 the message has a NUL octet")


@pytest.mark.parametrize("bare", [b"a\rb\r\n", b"a\nb\r\n", b"a\r\r\nb\r\n"])
def test_bare_newlines(bare: bytes) -> None:
    """Normalised unless the policy refuses them."""
    content = message(body=bare)
    assert judge(content).action == "accept"
    assert b"\r\n" in facts(content).body.removesuffix(b"\r\n")
    rule, reply = refusal(judge(content, who=identity('[sender]\nbare_newlines = "reject"')))
    assert rule == "sender.bare_newlines"
    assert reply.startswith("550 5.6.0 ")
    assert "policy test" in reply


@pytest.mark.parametrize("where", ["header", "body"])
def test_long_lines(where: str) -> None:
    """998 octets pass; 999 by policy; 64 KiB and more never."""

    def with_line(octets: int) -> bytes:
        line = b"x" * octets
        return message(b"X: " + line[3:]) if where == "header" else message(body=line + b"\r\n")

    assert judge(with_line(998)).action == "accept"
    rule, reply = refusal(judge(with_line(999)))
    assert (rule, reply[:9]) == ("sender.long_lines", "550 5.6.0")
    assert "998" in reply
    passing = identity('[sender]\nlong_lines = "pass"')
    assert judge(with_line(65_536), who=passing).action == "accept"
    assert "65536" in refusal(judge(with_line(65_537), who=passing))[1]


def test_header_size() -> None:
    """A hundred thousand fields are counted, not parsed."""
    content = message(*["X: y"] * 1_000)
    rule, reply = refusal(judge(content))
    assert rule == "header.fields"
    assert reply == "550 5.6.0 header of 1001 fields is over the limit of 1000 fields"
    assert facts(message(*["X: y"] * 100_000)).header.fields == ()
    rule, reply = refusal(judge(message(*["X: " + "y" * 900] * 200)))
    assert (rule, reply[:9]) == ("header.bytes", "552 5.3.4")
    assert judge(message(*["X: y"] * 999)).action == "accept"


def test_hops() -> None:
    """50 Received fields pass, 51 are a loop."""
    assert judge(message(*["Received: x"] * 50)).action == "accept"
    rule, reply = refusal(judge(message(*["Received: x"] * 51)))
    assert (rule, reply[:9]) == ("hops", "554 5.4.6")


def test_ceilings_are_the_installations() -> None:
    """The configuration's ceilings, not constants of ours."""
    assert refusal(judge(message("Received: x"), ceilings=Ceilings(hops=0)))[0] == "hops"
    assert refusal(judge(message(), ceilings=Ceilings(header_fields=0)))[0] == "header.fields"


def test_eight_bit_header_passes_as_it_is() -> None:
    """Raw 8-bit octets in a header are relayed byte for byte, as Postfix does."""
    assert judge(message(b"Subject: caf\xe9")).action == "accept"


BLOCKED = '[limits]\nattachments = { blocked = ["application/x-dosexec", "video/*", "*.exe"] }'


@pytest.mark.parametrize(
    ("part", "which"),
    [
        (("Content-Type: image/png\r\nContent-Transfer-Encoding: base64", PROGRAM), "application/x-dosexec"),
        (attachment("a.txt", "text/plain", b"MZ" + b"\x90" * 200), "application/x-dosexec"),
        (attachment("a.bin", "application/x-dosexec"), "application/x-dosexec"),
        (attachment("a.mp4", "Video/MP4"), "video/*"),
        (attachment("SETUP.EXE"), "*.exe"),
        (attachment("setup.exe. "), "*.exe"),
    ],
    ids=["content", "content of a text", "declared", "wildcard", "name", "name with a dot behind"],
)
def test_blocked_attachments(part: tuple[str, bytes], which: str) -> None:
    """By what the content is, what it says it is, and what it is called."""
    rule, reply = refusal(judge(with_attachments(part), who=identity(BLOCKED)))
    assert rule == "limits.attachments.blocked"
    assert reply.startswith("550 5.7.1 ")
    assert reply.endswith(f"is not allowed: {which} (policy test)")


def test_harmless_attachments_pass() -> None:
    """A PDF and a text."""
    content = with_attachments(attachment("a.pdf", "application/pdf", b"%PDF-1.4"), attachment("exe.txt"))
    assert judge(content, who=identity(BLOCKED)).action == "accept"


def test_attachment_count_and_bytes() -> None:
    """Number and decoded octets, all together."""
    three = with_attachments(*[attachment(f"{n}.bin", content=b"x" * 3_000) for n in range(3)])
    rule, reply = refusal(judge(three, who=identity("[limits]\nattachments = { count = 2 }")))
    assert rule == "limits.attachments.count"
    assert reply == "550 5.7.1 3 attachments are over the limit of 2 (policy test)"
    assert (
        judge(three, who=identity("[limits]\nattachments = { count = 3, bytes = 9000 }")).action == "accept"
    )
    rule, reply = refusal(judge(three, who=identity("[limits]\nattachments = { bytes = 8999 }")))
    assert (rule, reply[:9]) == ("limits.attachments.bytes", "552 5.3.4")
    assert "8999" in reply


def test_what_cannot_be_searched_is_refused_only_where_it_must_be() -> None:
    """A thousand nested parts: refused where attachments are limited, else nobody looks."""
    content = with_attachments(*[attachment(f"{n}") for n in range(20)])
    ceilings = Ceilings(mime_parts=10)
    assert judge(content, ceilings=ceilings).action == "accept"
    rule, reply = refusal(judge(content, who=identity(BLOCKED), ceilings=ceilings))
    assert (rule, reply[:9]) == ("limits.attachments.parts", "550 5.6.0")


def test_attachments_are_looked_for_only_if_needed() -> None:
    """The hot path does not scan a body that nobody asks about."""
    known = facts(with_attachments(attachment("a")))
    assert known.scan() is known.scan()
