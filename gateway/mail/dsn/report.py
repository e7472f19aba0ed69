"""Delivery status notifications: a page a person understands, and the fields programs read.

RFC 3464 (format), RFC 3461 §6 (what of ENVID, ORCPT and RET comes back), RFC 6533 (internationalised),
RFC 6522 (multipart/report), RFC 3834 §5 (Auto-Submitted). Whatever peers and senders wrote is put into
one line of printable text before it comes near a header.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from email.utils import formatdate

from gateway.mail.dsn.values import RecipientReport, ReportedMessage, ReportHeader
from gateway.mail.dsn.words import explain
from gateway.mail.envelope import decode_orcpt
from gateway.mail.headers import split_message
from gateway.mail.message import has_line_over, normalise_newlines
from gateway.mail.xtext import XtextError, decode_xtext, encode_unitext

FULL_LIMIT = 65_536
"""Octets of a message that comes back whole; of a longer one only the header does."""
_LINE = 76
_PREAMBLE = b"This is a delivery status notification in MIME format."


def build_report(
    header: ReportHeader,
    message: ReportedMessage,
    recipients: Sequence[RecipientReport],
    *,
    full_limit: int = FULL_LIMIT,
) -> bytes:
    """The notification as a whole message with CRLF line ends.

    The message comes back whole if RET=FULL or no RET, a recipient failed (RFC 3461 §6.1), and it has
    at most `full_limit` octets; else its header. ASCII only, unless the message is (`smtputf8`, or
    8-bit octets of its own). Raises ValueError without recipients.
    """
    if not recipients:
        raise ValueError("a delivery status notification needs at least one recipient")
    returned = _returned_part(message, recipients, full_limit)
    parts = (
        _words_part(explain(header.mta, message.content, message.arrived_at, recipients), message.smtputf8),
        _part(_status_type(message), "Delivery report", _status(header, message, recipients)),
        returned,
    )
    boundary = _boundary(header, parts)
    delimiter = b"\r\n--" + boundary.encode("ascii")
    body = b"".join(delimiter + b"\r\n" + part for part in parts) + delimiter + b"--\r\n"
    return _header(header, boundary, message.smtputf8, parts) + b"\r\n" + _PREAMBLE + body


def _header(header: ReportHeader, boundary: str, smtputf8: bool, parts: Sequence[bytes]) -> bytes:
    encoding = "7bit" if all(part.isascii() for part in parts) else "8bit"
    fields = [
        ("From", _one_line(header.sender, smtputf8)),
        ("To", _one_line(header.recipient, smtputf8)),
        ("Subject", _encoded_word(header.subject, smtputf8)),
        ("Date", formatdate(header.date)),
        ("Message-ID", _one_line(header.message_id, smtputf8)),
        ("Auto-Submitted", "auto-replied"),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/report; report-type=delivery-status; boundary="{boundary}"'),
        ("Content-Transfer-Encoding", encoding),
    ]
    return b"".join(_field(name, value) for name, value in fields)


def _status_type(message: ReportedMessage) -> str:
    return "message/global-delivery-status" if message.smtputf8 else "message/delivery-status"


def _status(header: ReportHeader, message: ReportedMessage, recipients: Sequence[RecipientReport]) -> bytes:
    """RFC 3464 §2: one group of fields for the message, one for each recipient."""
    utf8 = message.smtputf8
    fields = []
    if message.envid:
        fields.append(("Original-Envelope-Id", _decoded(message.envid)))
    fields.append(("Reporting-MTA", f"dns; {header.mta}"))
    fields.append(("Arrival-Date", formatdate(message.arrived_at)))
    fields.append(("X-Gatepost-Queue-Id", message.id))
    groups = [fields, *(_recipient_fields(recipient, utf8) for recipient in recipients)]
    return b"\r\n".join(
        b"".join(_field(name, _one_line(value, utf8)) for name, value in group) for group in groups
    )


def _recipient_fields(report: RecipientReport, utf8: bool) -> list[tuple[str, str]]:
    fields = []
    if report.orcpt:
        fields.append(("Original-Recipient", _original(report.orcpt, utf8)))
    fields.append(("Final-Recipient", _typed(report.recipient, utf8)))
    fields.append(("Action", report.action))
    fields.append(("Status", report.status))
    if report.remote_mta:
        fields.append(("Remote-MTA", f"dns; {report.remote_mta}"))
    if report.diagnostic:
        kind = "smtp" if report.remote_mta else "x-gatepost"
        fields.append(("Diagnostic-Code", f"{kind}; {report.diagnostic}"))
    if report.last_attempt_at is not None:
        fields.append(("Last-Attempt-Date", formatdate(report.last_attempt_at)))
    if report.retry_until is not None:
        fields.append(("Will-Retry-Until", formatdate(report.retry_until)))
    return fields


def _typed(address: str, utf8: bool) -> str:
    """`type; address` (RFC 3464 §2.3.2, RFC 6533 §4)."""
    if address.isascii():
        return f"rfc822; {address}"
    return f"utf-8; {address}" if utf8 else f"utf-8; {encode_unitext(address)}"


def _original(orcpt: str, utf8: bool) -> str:
    try:
        kind, address = decode_orcpt(orcpt)
    except ValueError:
        return f"unknown; {orcpt}"
    return f"{kind}; {address}" if utf8 or address.isascii() else f"{kind}; {encode_unitext(address)}"


def _decoded(envid: str) -> str:
    try:
        return decode_xtext(envid)
    except XtextError:
        return envid


def _returned_part(message: ReportedMessage, recipients: Sequence[RecipientReport], full_limit: int) -> bytes:
    failed = any(recipient.action == "failed" for recipient in recipients)
    content = normalise_newlines(message.content)
    if failed and message.ret != "HDRS" and len(content) <= full_limit:
        media_type = "message/global" if message.smtputf8 else "message/rfc822"
        return _part(media_type, "Message", content)
    header, _ = split_message(content)
    lines, line_end, _ = header[:full_limit].rpartition(b"\r\n")
    media_type = "message/global-headers" if message.smtputf8 else "text/rfc822-headers"
    return _part(media_type, "Message header", lines + line_end)


def _part(media_type: str, description: str, content: bytes) -> bytes:
    encoding = "7bit" if content.isascii() and not has_line_over(content) else "8bit"
    head = (
        f"Content-Type: {media_type}\r\nContent-Description: {description}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode("ascii") + content


def _words_part(text: str, smtputf8: bool) -> bytes:
    """The page for people: quoted-printable where it is not ASCII and the way may be seven bits wide."""
    if text.isascii() or smtputf8:
        charset = "us-ascii" if text.isascii() else "utf-8"
        return _part(f"text/plain; charset={charset}", "Notification", text.encode())
    head = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Description: Notification\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return head + binascii.b2a_qp(text.encode())


def _boundary(header: ReportHeader, parts: Sequence[bytes]) -> str:
    """Depends on all it has to part, so nobody can have written it into a message beforehand."""
    digest = hashlib.sha256(header.message_id.encode("utf-8", "replace"))
    for part in parts:
        digest.update(part)
    return f"report-{digest.hexdigest()[:40]}"


def _one_line(text: str, utf8: bool) -> str:
    """Printable, one line; ASCII unless `utf8`."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    if not utf8:
        clean = clean.encode("ascii", "replace").decode("ascii")
    return " ".join(clean.split())


def _encoded_word(text: str, utf8: bool) -> str:
    """A Subject: RFC 2047 where it has to be; each word at most 75 characters (§2)."""
    line = _one_line(text, True)
    if line.isascii() or utf8:
        return line
    pieces, piece = [], ""
    for character in line:
        if len((piece + character).encode()) > 42:
            pieces.append(piece)
            piece = ""
        piece += character
    pieces.append(piece)
    return " ".join(f"=?utf-8?b?{base64.b64encode(piece.encode()).decode('ascii')}?=" for piece in pieces)


def _field(name: str, value: str) -> bytes:
    """`Name: value` folded at spaces (RFC 5322 §2.2.3); a word over 900 octets is cut."""
    lines, line = [], f"{name}:"
    for word in value.split(" "):
        while len(word) > 225:  # 900 octets of UTF-8 at most
            lines.append(f"{line} {word[:225]}")
            line, word = "", word[225:]
        if len(line) + 1 + len(word) > _LINE and line.strip() and line != f"{name}:":
            lines.append(line)
            line = ""
        line = f"{line} {word}"
    lines.append(line)
    return "\r\n".join(line for line in lines if line.strip()).encode("utf-8", "replace") + b"\r\n"
