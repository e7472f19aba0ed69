"""One mail transaction while it is being spoken; `Envelope` is what it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.edges.smtp.reader import BdatReader
from gateway.mail.envelope import Envelope, MailCommand, RcptCommand


@dataclass(slots=True)
class Transaction:
    """From an accepted MAIL to the end of the message, RSET, or the next EHLO.

    `limit` is the most octets the message may have; `tried` counts RCPT commands, accepted or not;
    `chunks` is there from the first BDAT on.
    """

    mail: MailCommand
    limit: int
    recipients: list[RcptCommand] = field(default_factory=list)
    tried: int = 0
    chunks: BdatReader | None = None

    def envelope(self) -> Envelope:
        """What was said, frozen."""
        mail = self.mail
        return Envelope(
            mail.reverse_path, tuple(self.recipients), mail.ret, mail.envid, mail.smtputf8, mail.body
        )
