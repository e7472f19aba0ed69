"""The words of a delivery status notification for the person who reads it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from email.utils import formatdate

from gateway.mail.dsn.values import Action, RecipientReport
from gateway.mail.headers import parse_header, split_message
from gateway.mail.mime import decode_words

_SHOWN = 1_000
_NAME_SHOWN = 240  # 960 octets at most, on a line that is not wrapped
_HEADER_SEARCHED = 65_536

_OPENING: dict[Action, str] = {
    "failed": "Your message could not be delivered to the following recipients. It will not be tried again.",
    "delayed": "Your message has not been delivered to the following recipients yet. "
    "This is only a warning: delivery is still being tried and you need not send the message again.",
    "delivered": "Your message was delivered to the following recipients.",
    "relayed": "Your message was passed on for the following recipients, to a server that does not "
    "report on delivery. You may get no further notice.",
    "expanded": "Your message was delivered to the following lists and goes on to their members.",
}

# By the subject and detail of RFC 3463 §3; the longest beginning that fits is taken.
_ADVICE: dict[str, str] = {
    "1.1": "The address does not exist. Check it for spelling mistakes.",
    "1.2": "The domain of the address does not exist or takes no mail. Check it for spelling mistakes.",
    "1.10": "The domain says that it takes no mail at all.",
    "1.": "There is something wrong with the address. Check it for spelling mistakes.",
    "2.1": "The mailbox is switched off. Ask the recipient another way.",
    "2.2": "The mailbox is full. Try again in some days, or tell the recipient another way.",
    "2.3": "The message is larger than the mailbox takes. Send less, or a link to it.",
    "2.": "The mailbox does not take the message. Ask the recipient another way.",
    "3.4": "The message is larger than the other server takes. Send less, or a link to it.",
    "3.": "The other mail server does not take messages of this kind, or takes none now.",
    "4.6": "The message went round in a loop. Tell the administrators of the recipient's domain.",
    "4.7": "It was tried until the time for delivery was over.",
    "4.": "The other mail server could not be reached.",
    "5.": "The two mail servers did not understand each other. Show this notice to your administrator.",
    "6.7": "The address has letters that the other server does not know (it has no SMTPUTF8).",
    "6.": "The other server cannot take the message in this form.",
    "7.": "The other server refuses the message for reasons of policy or security. "
    "Its answer may say what to do.",
}


def explain(mta: str, content: bytes, arrived_at: float, recipients: Sequence[RecipientReport]) -> str:
    """The first part of a notification: plain text with CRLF line ends, lines of at most 998 octets."""
    lines = [f"This is the mail server {_plain(mta, _NAME_SHOWN)}.", ""]
    subject = _subject(content)
    for action, opening in _OPENING.items():
        concerned = [recipient for recipient in recipients if recipient.action == action]
        if not concerned:
            continue
        lines += [*textwrap.wrap(opening, 72), ""]
        for recipient in concerned:
            lines += [*_about(recipient), ""]
    lines.append(f"The message was received on {formatdate(arrived_at, usegmt=True)}.")
    if subject:
        lines += textwrap.wrap(f"Its subject: {subject}", 72, subsequent_indent="  ")
    return "\r\n".join(lines) + "\r\n"


def _about(report: RecipientReport) -> Iterable[str]:
    yield f"  <{_plain(report.recipient, _NAME_SHOWN)}>"
    if report.action in ("failed", "delayed"):
        advice = _advice(report.status)
        if advice:
            yield from _indented(advice)
    if report.diagnostic:
        who = f"The server {_plain(report.remote_mta)} answered: " if report.remote_mta else "Reason: "
        yield from _indented(who + _plain(report.diagnostic))
    if report.action == "delayed" and report.retry_until is not None:
        yield from _indented(f"It will be tried until {formatdate(report.retry_until, usegmt=True)}.")


def _advice(status: str) -> str:
    _, _, detail = status.partition(".")
    subject = detail.partition(".")[0] + "."
    return _ADVICE.get(detail) or _ADVICE.get(subject, "")


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, 72, initial_indent="    ", subsequent_indent="    ")


def _subject(content: bytes) -> str:
    header, _ = split_message(content[:_HEADER_SEARCHED])
    field = parse_header(header).first(b"subject")
    return _plain(decode_words(field.value.decode("utf-8", "replace"))) if field else ""


def _plain(text: str, limit: int = _SHOWN) -> str:
    """One line of printable text, of at most `limit` characters."""
    clean = "".join(character if character.isprintable() else " " for character in text[:limit])
    return " ".join(clean.split())
