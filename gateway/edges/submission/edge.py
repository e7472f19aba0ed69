"""What all submission sessions of one process share, and whom they ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.edges.smtp.host import SmtpHost

if TYPE_CHECKING:
    from gateway.control.credentials.signin import Accepted, Denied
    from gateway.control.directory import Change, Refused
    from gateway.control.records import Identity
    from gateway.mail.envelope import MailCommand, RcptCommand
    from gateway.mail.reply import Reply
    from gateway.outgoing.intake import Receipt, Submission


class LoginDoor(Protocol):
    """`gateway.control.credentials.authenticator.Authenticator`, as far as it is used here."""

    async def verify(self, login: str, password: str, *, protocol: str, address: str) -> Accepted | Denied:
        """Who this is, or why not."""
        ...


class IdentityDoor(Protocol):
    """`gateway.control.directory.Directory`, as far as it is used here."""

    def identity_now(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused | None:
        """From memory, or None when it has to be read."""
        ...

    async def identity(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused:
        """Read if it must be. Raises DatabaseAway."""
        ...

    def subscribe(self, callback: Callable[[int, tuple[Change, ...]], None]) -> Callable[[], None]:
        """Be told of changes, on the event loop."""
        ...


class IntakeDoor(Protocol):
    """`gateway.outgoing.intake.Intake`, as far as it is used here."""

    def check_sender(self, identity: Identity, command: MailCommand, client_address: str) -> Reply | None:
        """A refusal of MAIL FROM (recorded), or None. Microseconds: it runs on the event loop."""
        ...

    def check_recipient(
        self,
        identity: Identity,
        accepted: Sequence[RcptCommand],
        recipient: RcptCommand,
        reverse_path: str,
        client_address: str,
    ) -> Reply | None:
        """A refusal of RCPT TO (recorded), or None; `accepted` are the recipients before it."""
        ...

    async def submit(self, submission: Submission) -> Receipt:
        """Make the message durable. Raises Refusal. Never cancelled by a client that leaves."""
        ...


class ConnectionSlots(Protocol):
    """`gateway.system.sharedmemory.SharedSlots`: connections per key in all processes together."""

    def acquire(self, process_index: int, key: str | bytes, limit: int) -> bool:
        """Take one unless `limit` are held."""
        ...

    def release(self, process_index: int, key: str | bytes) -> None:
        """Give one back."""
        ...


@dataclass(frozen=True)
class SubmissionEdge:
    """The parts that a submission session talks to: one for each process.

    `slots` counts connections of the whole node under the keys `address:…` and `account:…`;
    `process_index` is this process's column in it.
    """

    host: SmtpHost
    authenticator: LoginDoor
    directory: IdentityDoor
    intake: IntakeDoor
    slots: ConnectionSlots
    process_index: int = 0
