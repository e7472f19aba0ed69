"""Mail of the gateway's own: delivery reports, from the platform's domain, through the platform's shard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from gateway.mail.address import AddressError, parse_mailbox
from gateway.mail.dsn import RecipientReport, ReportedMessage, ReportHeader, build_report
from gateway.mail.headers import parse_header, split_message
from gateway.mail.message import is_eightbit
from gateway.outgoing.intake.completion import Trace, complete_header
from gateway.outgoing.intake.platform import PlatformMail, PlatformView
from gateway.outgoing.intake.values import Origin
from gateway.outgoing.queue import NewMessage, NewRecipient
from gateway.outgoing.signing import Signer

if TYPE_CHECKING:
    from gateway.outgoing.relay.reports import DsnRequest, ReportedRecipient
    from gateway.system.clock import Clock
    from gateway.system.ids import IdSource

SUBJECTS = {
    "failed": "Undelivered mail returned to sender",
    "delayed": "Your mail is delayed",
    "relayed": "Your mail was passed on",
}
STREAM = "report"
GIVE_UP_SECONDS = 3 * 86_400.0


class ReportWriter:
    """Writes delivery reports as messages for the queue. They are never refused by a quota.

    A report keeps the tenant of the message it reports on: its reader is that tenant, and its queue
    time is that tenant's.
    """

    def __init__(
        self,
        *,
        directory: PlatformView,
        signer: Signer,
        organisational_domain: Callable[[str], str],
        hostname: str,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._mail = PlatformMail(directory, signer, organisational_domain, hostname)
        self._hostname = hostname
        self._clock = clock
        self._ids = ids
        self._log = structlog.get_logger("gateway.outgoing.intake")

    def __call__(self, request: DsnRequest) -> NewMessage | None:
        """The report that `request` asks for; None, with a line in the log, if nobody can be told.

        Raises CannotReport if it cannot be made for now.
        """
        message = request.message
        try:
            recipient = parse_mailbox(message.reverse_path, smtputf8=message.smtputf8)
        except AddressError as error:
            self._cannot(request, str(error))
            return None
        # Without a report the failure would be silent: it stays queued until there can be one.
        return self._message(request, self._mail.place(recipient, STREAM))

    def _message(self, request: DsnRequest, to: NewRecipient) -> NewMessage:
        message, report_id = request.message, self._ids.message_id()
        header_id = f"<{report_id}@{self._hostname}>"
        raw = self._octets(request, to, header_id)
        block, body = split_message(raw)
        trace = Trace(self._hostname, report_id, None, to.address, False, request.at, message.smtputf8)
        header = complete_header(parse_header(block), trace, self._hostname)
        content = b"".join((header.raw, b"\r\n", body))
        return NewMessage(
            id=report_id,
            tenant_id=message.tenant_id,
            account_id=message.account_id,
            workspace_id=message.workspace_id,
            environment="production",
            origin=Origin.DSN.value,
            stream=STREAM,
            reverse_path="",
            from_address=self._sender,
            from_domain=self._hostname,
            size=len(content),
            content=content,
            sign=self._mail.signing(header, body, self._clock.now()),
            recipients=(to,),
            give_up_at=request.at + GIVE_UP_SECONDS,
            received_at=request.at,
            header_message_id=header_id,
            smtputf8=message.smtputf8,
            eightbit=is_eightbit(content),
        )

    @property
    def _sender(self) -> str:
        return f"MAILER-DAEMON@{self._hostname}"

    def _octets(self, request: DsnRequest, to: NewRecipient, header_id: str) -> bytes:
        """The report as RFC 3464 has it."""
        message = request.message
        header = ReportHeader(
            f"Mail Delivery System <{self._sender}>",
            f"<{to.address}>",
            SUBJECTS.get(request.recipients[0].action, SUBJECTS["failed"]),
            request.at,
            header_id,
            self._hostname,
        )
        reported = ReportedMessage(
            message.id,
            request.content,
            message.received_at,
            message.envid,
            "HDRS" if message.ret == "HDRS" else "FULL" if message.ret == "FULL" else None,
            message.smtputf8,
        )
        return build_report(header, reported, [_reported(recipient) for recipient in request.recipients])

    def _cannot(self, request: DsnRequest, reason: str) -> None:
        self._log.error(
            "report_not_written",
            message_id=request.message.id,
            tenant_id=request.message.tenant_id,
            account_id=request.message.account_id,
            recipients=[recipient.address for recipient in request.recipients],
            reason=reason,
        )


def _reported(recipient: ReportedRecipient) -> RecipientReport:
    return RecipientReport(
        recipient.address,
        recipient.action,
        recipient.status,
        recipient.diagnostic,
        recipient.remote_mta,
        recipient.orcpt,
        recipient.last_attempt_at,
        recipient.retry_until,
    )
