"""Notifications: the standard library reads back what was reported, and nobody injects anything."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mail.dsn import RecipientReport, ReportedMessage, ReportHeader, build_report
from gateway.mail.message import has_bare_newlines, has_line_over

HEADER = ReportHeader(
    sender="Mail Delivery System <mailer-daemon@gw.example>",
    recipient="alice@example.com",
    subject="Your message could not be delivered",
    date=1_800_000_000.0,
    message_id="<1@gw.example>",
    mta="gw.example",
)
MESSAGE = ReportedMessage(
    id="abc",
    content=b"From: alice@example.com\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n",
    arrived_at=1_799_999_000.0,
)
FAILED = RecipientReport(
    recipient="bob@example.org",
    action="failed",
    status="5.1.1",
    diagnostic="550 5.1.1 no such user",
    remote_mta="mx.example.org",
    last_attempt_at=1_800_000_000.0,
)
DELAYED = RecipientReport(
    "carol@example.net", "delayed", "4.4.1", "connection refused", retry_until=1_800_090_000.0
)


def read(report: bytes) -> EmailMessage:
    assert not has_bare_newlines(report)
    assert not has_line_over(report)
    message = message_from_bytes(report, _class=EmailMessage, policy=SMTPUTF8)
    assert isinstance(message, EmailMessage)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert next(part.get_content_maintype() for part in message.iter_parts()) == "text"
    assert len(list(message.iter_parts())) == 3
    return message


def words(message: EmailMessage) -> str:
    part = next(iter(message.iter_parts()))
    assert isinstance(part, EmailMessage)
    return str(part.get_content())


def groups(message: EmailMessage) -> list[dict[str, str]]:
    status = list(message.iter_parts())[1]
    payload = status.get_payload()
    assert isinstance(payload, list)
    return [{name.lower(): str(value) for name, value in group.items()} for group in payload if group.items()]


def test_a_failure_for_programs() -> None:
    message = read(build_report(HEADER, MESSAGE, [FAILED]))
    assert message["From"] == HEADER.sender
    assert message["To"] == HEADER.recipient
    assert message["Subject"] == HEADER.subject
    assert message["Message-ID"] == HEADER.message_id
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Date"].datetime.timestamp() == HEADER.date
    about, recipient = groups(message)
    assert about["reporting-mta"] == "dns; gw.example"
    assert "original-envelope-id" not in about
    assert recipient["final-recipient"] == "rfc822; bob@example.org"
    assert recipient["action"] == "failed"
    assert recipient["status"] == "5.1.1"
    assert recipient["remote-mta"] == "dns; mx.example.org"
    assert recipient["diagnostic-code"] == "smtp; 550 5.1.1 no such user"
    assert "last-attempt-date" in recipient
    assert "will-retry-until" not in recipient


def test_a_failure_for_people() -> None:
    text = words(read(build_report(HEADER, MESSAGE, [FAILED])))
    for wanted in ("could not be delivered", "<bob@example.org>", "does not exist", "no such user", "Lunch?"):
        assert wanted in text


def test_a_delay_says_that_nothing_need_be_done() -> None:
    message = read(build_report(HEADER, MESSAGE, [DELAYED]))
    assert "need not send the message again" in " ".join(words(message).split())
    recipient = groups(message)[1]
    assert recipient["action"] == "delayed"
    assert recipient["diagnostic-code"] == "x-gatepost; connection refused"
    assert "will-retry-until" in recipient


def test_each_recipient_has_a_group() -> None:
    reports = [
        FAILED,
        DELAYED,
        *(RecipientReport("d@example.net", action, "2.0.0") for action in ("delivered", "relayed")),
    ]  # type: ignore[arg-type]
    message = read(build_report(HEADER, MESSAGE, reports))
    assert [group["action"] for group in groups(message)[1:]] == ["failed", "delayed", "delivered", "relayed"]


def test_envid_and_orcpt_come_back_decoded() -> None:
    reported = replace(MESSAGE, envid="Q+2BQ")
    message = read(build_report(HEADER, reported, [replace(FAILED, orcpt="rfc822;Bob+2BX@Example.org")]))
    about, recipient = groups(message)
    assert about["original-envelope-id"] == "Q+Q"
    assert recipient["original-recipient"] == "rfc822; Bob+X@Example.org"


@pytest.mark.parametrize(
    ("ret", "report", "limit", "returned"),
    [
        (None, FAILED, 10_000, "message/rfc822"),
        ("FULL", FAILED, 10_000, "message/rfc822"),
        ("HDRS", FAILED, 10_000, "text/rfc822-headers"),
        ("FULL", DELAYED, 10_000, "text/rfc822-headers"),
        ("FULL", FAILED, 40, "text/rfc822-headers"),
    ],
)
def test_what_of_the_message_comes_back(
    ret: str | None, report: RecipientReport, limit: int, returned: str
) -> None:
    reported = replace(MESSAGE, ret=ret)  # type: ignore[arg-type]
    content = build_report(HEADER, reported, [report], full_limit=limit)
    last = list(read(content).iter_parts())[2]
    assert last.get_content_type() == returned
    assert (b"At noon." in content) == (returned == "message/rfc822")
    assert b"From: alice@example.com\r\n" in content


def test_a_header_longer_than_the_limit_is_cut_at_a_line() -> None:
    content = build_report(HEADER, MESSAGE, [DELAYED], full_limit=30)
    assert b"From: alice@example.com\r\n\r\n--report-" in content
    assert b"From: alice" not in build_report(HEADER, MESSAGE, [DELAYED], full_limit=3)


def test_internationalised_mail_is_reported_as_such() -> None:
    reported = replace(MESSAGE, content="Subject: Grüße\r\n\r\nx\r\n".encode(), smtputf8=True)
    failed = replace(FAILED, recipient="jörg@example.org", orcpt="utf-8;jörg@example.org")
    content = build_report(replace(HEADER, subject="Grüße"), reported, [failed])
    message = read(content)
    assert message["Subject"] == "Grüße"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/global-delivery-status",
        "message/global",
    ]
    assert "Final-Recipient: utf-8; jörg@example.org\r\n".encode() in content
    assert "Original-Recipient: utf-8; jörg@example.org\r\n".encode() in content


def test_without_smtputf8_our_own_words_stay_seven_bit() -> None:
    reported = replace(MESSAGE, content=b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nx\r\n")
    failed = replace(FAILED, recipient="jörg@example.org", diagnostic="550 käse")
    content = build_report(replace(HEADER, subject="Grüße " * 30), reported, [failed])
    assert content.isascii()
    message = read(content)
    assert message["Subject"].split() == ["Grüße"] * 30
    assert "Grüße" in words(message)
    assert b"Final-Recipient: utf-8; j\\x{F6}rg@example.org\r\n" in content


def test_eight_bit_octets_of_the_message_are_told() -> None:
    reported = replace(MESSAGE, content=b"Subject: x\r\n\r\n\xff\r\n")
    message = read(build_report(HEADER, reported, [FAILED]))
    assert message["Content-Transfer-Encoding"] == "8bit"
    assert list(message.iter_parts())[2]["Content-Transfer-Encoding"] == "8bit"


def test_nobody_to_report_on_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="recipient"):
        build_report(HEADER, MESSAGE, [])


EVIL = st.text(max_size=60) | st.sampled_from(
    [
        "x\r\nBcc: evil@example.com",
        "x\n\nbody",
        "\r\n\r\n--report-",
        "\x00",
        "a" * 3000,
        "ä" * 2000,
        "x\u2028Bcc: y",
        "\ud800",
        "",
    ]
)


@given(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, st.booleans())
@example(*["ä" * 2000] * 6, True)
@example(*["ä" * 2000] * 6, False)
@example(*["x\r\nBcc: evil@example.com"] * 6, True)
def test_no_string_of_others_injects_anything(
    address: str, diagnostic: str, mta: str, orcpt: str, envid: str, subject: str, smtputf8: bool
) -> None:
    failed = replace(
        FAILED, recipient=address, diagnostic=diagnostic, remote_mta=mta, orcpt=orcpt, status=envid
    )
    header = replace(HEADER, subject=subject, recipient=address, message_id=f"<{envid}>")
    reported = replace(MESSAGE, envid=envid, id=mta, smtputf8=smtputf8)
    content = build_report(header, reported, [failed])
    assert smtputf8 or content.isascii()
    message = read(content)
    assert [name.lower() for name in message.keys()] == [  # noqa: SIM118 - a message has repeated keys
        "from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type",
        "content-transfer-encoding",
    ]  # fmt: skip
    assert not any("bcc" in group or "x" in group for group in groups(message))


@given(st.binary(max_size=200).map(lambda content: content.replace(b"\x00", b"")))
def test_any_message_can_be_reported_on(content: bytes) -> None:
    report = build_report(HEADER, replace(MESSAGE, content=content), [FAILED])
    assert message_from_bytes(report, policy=SMTP).get_content_type() == "multipart/report"
    assert report.count(b"\r\n--report-") == 4 + content.count(b"\r\n--report-")
