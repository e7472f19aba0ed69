"""A notice as a message: from the platform's domain, to one contact, with the null reverse-path."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

from gateway.mail.address import Mailbox
from gateway.mail.headers import parse_header, split_message
from gateway.mail.message import is_eightbit
from gateway.outgoing.intake.completion import Trace, complete_header, rfc_date
from gateway.outgoing.intake.platform import PlatformMail
from gateway.outgoing.intake.values import Origin
from gateway.outgoing.notices.templates import Letter
from gateway.outgoing.queue import NewMessage
from gateway.system.ids import IdSource

STREAM = "notice"
GIVE_UP_SECONDS = 3 * 86_400.0
_MAILBOX = "notices"


class NoticeWriter:
    """Writes notices for the queue. They are the platform's own mail: in no tenant's quota or queue."""

    def __init__(self, mail: PlatformMail, ids: IdSource) -> None:
        self._mail = mail
        self._ids = ids

    def write(self, letter: Letter, contact: Mailbox, now: float) -> NewMessage:
        """The message to one contact; `now` in seconds since 1970. Raises CannotReport."""
        hostname, message_id = self._mail.hostname, self._ids.message_id()
        utf8 = not str(contact).isascii()
        header_id = f"<{message_id}@{hostname}>"
        sender = f"{_MAILBOX}@{hostname}"
        block, body = split_message(_octets(letter, sender, str(contact), header_id, now, utf8))
        trace = Trace(hostname, message_id, None, str(contact), False, now, utf8)
        header = complete_header(parse_header(block), trace, hostname)
        content = b"".join((header.raw, b"\r\n", body))
        return NewMessage(
            id=message_id,
            tenant_id=self._mail.directory.platform.id,
            account_id=None,
            workspace_id=None,
            environment="production",
            origin=Origin.SYSTEM.value,
            stream=STREAM,
            reverse_path="",
            from_address=sender,
            from_domain=hostname,
            size=len(content),
            content=content,
            sign=self._mail.signing(header, body, now),
            recipients=(self._mail.place(contact, STREAM),),
            give_up_at=now + GIVE_UP_SECONDS,
            received_at=now,
            header_message_id=header_id,
            subject=letter.subject,
            smtputf8=utf8,
            eightbit=is_eightbit(content),
        )


def _octets(letter: Letter, sender: str, to: str, header_id: str, now: float, utf8: bool) -> bytes:
    """The message as RFC 5322 has it, in ASCII unless the address is not; RFC 3834 says it was no person."""
    message = EmailMessage(policy=SMTP.clone(utf8=utf8, max_line_length=78))
    message["From"] = f"Gatepost <{sender}>"
    message["To"] = f"<{to}>"
    message["Subject"] = letter.subject
    message["Date"] = rfc_date(now)
    message["Message-ID"] = header_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text, cte="quoted-printable")
    return message.as_bytes()
