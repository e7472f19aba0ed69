"""Real messages, odd and broken ones too, taken apart as the standard library does."""

from __future__ import annotations

from email import message_from_bytes

from gateway.mail.address import AddressError, parse_mailbox_list
from gateway.mail.dsn import RecipientReport, ReportedMessage, ReportHeader, build_report
from gateway.mail.headers import parse_header, split_message
from gateway.mail.message import normalise_newlines
from gateway.mail.mime import scan_attachments
from tests.support.peers import RequirePeer

HEADER = ReportHeader("mailer-daemon@gw.example", "a@b.example", "x", 1.8e9, "<1@gw.example>", "gw.example")
FAILED = RecipientReport("bob@example.org", "failed", "5.1.1")

# Messages without the boundary they announce, or with parts that the library takes apart further
# than any mail program does (message/external-body, message/delivery-status).
TAKEN_APART_OTHERWISE = {"msg_16.txt", "msg_36.txt", "msg_37.txt", "msg_43.txt"}


def test_every_message_of_the_corpus(require_peer: RequirePeer) -> None:
    folder = require_peer("email-corpus")
    seen = 0
    for path in sorted(folder.glob("*.txt")):
        content = normalise_newlines(path.read_bytes())
        block, body = split_message(content)
        header = parse_header(block)
        assert header.raw == block, path.name
        scan = scan_attachments(header, body)
        theirs = list(message_from_bytes(content).walk())
        if path.name not in TAKEN_APART_OTHERWISE:
            assert scan.parts == len(theirs), path.name
            names = [part.get_filename() for part in theirs if part.get_filename()]
            assert [one.name for one in scan.attachments if one.name] == names, path.name
        for field in header.get_all(b"from"):
            try:
                assert parse_mailbox_list(field.value)
            except AddressError as error:
                assert error.rule in ("comment", "no-address"), path.name
        assert build_report(HEADER, ReportedMessage("x", content, 1.8e9), [FAILED])
        seen += 1
    assert seen > 30
