"""One relay transaction: what is to be sent, its commands for a given peer, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gateway.outgoing.relay.replies import PeerReply

if TYPE_CHECKING:
    from gateway.outgoing.queue import QueuedRecipient

MAX_RECIPIENTS = 100
"""RFC 5321 §4.5.3.1.8: every server takes this many."""


@dataclass(frozen=True, slots=True)
class PeerFeatures:
    """What a peer offered in its EHLO reply. `size` None: no limit known (RFC 1870)."""

    pipelining: bool = False
    eightbit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    size_offered: bool = False
    size: int | None = None

    @classmethod
    def of_ehlo(cls, extensions: Mapping[str, str]) -> PeerFeatures:
        """From the extensions of an EHLO reply: lower-case keyword to parameters."""
        limit = extensions.get("size", "").strip()
        return cls(
            pipelining="pipelining" in extensions,
            eightbit="8bitmime" in extensions,
            smtputf8="smtputf8" in extensions,
            dsn="dsn" in extensions,
            size_offered="size" in extensions,
            size=int(limit) if limit.isdecimal() and len(limit) < 16 and int(limit) else None,
        )


@dataclass(frozen=True, slots=True)
class Mail:
    """A message on its way to recipients of one destination.

    `header` (signatures, with CRLF) goes before `content`, which is in normal form: CRLF line
    ends only. `destination` is the recipients' domain as A-labels.
    """

    message_id: str
    return_path: str
    recipients: tuple[QueuedRecipient, ...]
    destination: str
    header: bytes = field(repr=False)
    content: bytes = field(repr=False)
    envid: str | None = None
    ret: str | None = None
    wants_smtputf8: bool = False
    eightbit: bool = False

    @property
    def size(self) -> int:
        """Octets of header and content."""
        return len(self.header) + len(self.content)

    def needs_smtputf8(self) -> bool:
        """Whether an address or a header field holds more than ASCII (RFC 6531 §3)."""
        if not self.wants_smtputf8:
            return False
        texts = [self.return_path, *(recipient.address.rpartition("@")[0] for recipient in self.recipients)]
        if not all(text.isascii() for text in texts):
            return True
        header, _, _ = self.content.partition(b"\r\n\r\n")
        return not header.isascii()


class Unsendable(Exception):
    """A peer cannot take a message as it is; nothing is converted (it would break the signature)."""

    def __init__(self, code: int, enhanced: str, why: str) -> None:
        super().__init__(why)
        self.reply = PeerReply(code, f"{enhanced} {why}".encode("ascii"))


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of one transaction, each with its CRLF."""

    mail: bytes
    recipients: tuple[bytes, ...]


def commands_for(mail: Mail, peer: PeerFeatures) -> Commands:
    """MAIL and RCPT as `peer` understands them.

    Raises Unsendable if it lacks what the message cannot do without.
    """
    smtputf8 = mail.wants_smtputf8
    if smtputf8 and not peer.smtputf8:
        if mail.needs_smtputf8():
            why = "the receiving server does not take internationalised mail (SMTPUTF8)"
            raise Unsendable(550, "5.6.7", why)
        smtputf8 = False
    if mail.eightbit and not peer.eightbit and not mail.content.isascii():
        raise Unsendable(550, "5.6.3", "the receiving server does not take 8-bit content (8BITMIME)")
    if peer.size is not None and mail.size > peer.size:
        why = f"the message has {mail.size} octets, the receiving server takes at most {peer.size}"
        raise Unsendable(552, "5.3.4", why)
    sender = f"MAIL FROM:<{mail.return_path}>"
    if peer.size_offered:
        sender += f" SIZE={mail.size}"
    if mail.eightbit and peer.eightbit:
        sender += " BODY=8BITMIME"
    if smtputf8:
        sender += " SMTPUTF8"
    if peer.dsn:
        if mail.ret:
            sender += f" RET={mail.ret}"
        if mail.envid:
            sender += f" ENVID={mail.envid}"
    recipients = [_line(_rcpt(recipient, mail, smtputf8, peer.dsn)) for recipient in mail.recipients]
    return Commands(_line(sender), tuple(recipients))


def _rcpt(recipient: QueuedRecipient, mail: Mail, smtputf8: bool, dsn: bool) -> str:
    address = recipient.address
    if not smtputf8 and not address.isascii():
        address = f"{address.rpartition('@')[0]}@{mail.destination}"
    command = f"RCPT TO:<{address}>"
    if dsn:
        if recipient.notify:
            command += f" NOTIFY={','.join(sorted(recipient.notify))}"
        if recipient.orcpt:
            command += f" ORCPT={recipient.orcpt}"
    return command


def _line(command: str) -> bytes:
    """One command line. What goes out is checked again: no control character may get in."""
    if not command.isprintable():
        raise Unsendable(550, "5.1.3", "an address holds a control character")
    return command.encode("utf-8") + b"\r\n"


def wire_parts(mail: Mail) -> tuple[bytes, bytes]:
    """The message as DATA wants it, up to and with the final dot: the octets before the content, and it.

    Dots at the start of lines are doubled (RFC 5321 §4.5.2).
    """
    content = mail.content
    if b"\n." in content:
        content = content.replace(b"\n.", b"\n..")
    if content.startswith(b"."):
        content = b"." + content
    end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    return mail.header, content + end


@dataclass(slots=True)
class Sent:
    """What came of a transaction.

    `fates` has for each recipient the reply that decides about it, or None if none came; then
    `trouble` says why. `accepted` are the recipients for which the final dot was written; with
    `unanswered` the peer may have taken the message for them without our knowing.
    """

    fates: list[PeerReply | None]
    trouble: str | None = None
    accepted: tuple[int, ...] = ()
    unanswered: bool = False


class DotWatch(Protocol):
    """Is told of the two instants between which only the peer knows what happened."""

    def before_dot(self, accepted: tuple[int, ...]) -> None:
        """The final dot is about to be written for these recipients (indexes into the transaction)."""
        ...

    def still_unanswered(self, accepted: tuple[int, ...]) -> None:
        """There has been no answer to the final dot for a while; it is still awaited."""
        ...
