"""What a login ends in: accepted, or denied for a reason that the client may or may not be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.control.records import Identity

NEUTRAL_TEXT = "authentication failed"


class SignInOutcome(StrEnum):
    """How an attempt ended; these words stand in `account logins` and in logs: an interface."""

    ACCEPTED = "accepted"
    WRONG_CREDENTIALS = "wrong_credentials"
    REVOKED = "revoked"
    TOO_MANY_GUESSES = "too_many_guesses"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    PROTOCOL_OFF = "protocol_off"
    SCOPE = "scope"
    EXPIRED = "expired"
    NETWORK = "network"
    ACCOUNT_SUSPENDED = "account_suspended"
    TENANT_SUSPENDED = "tenant_suspended"


# What a client is told, and only after a correct password; all others sound the same.
_PUBLIC_TEXTS = {
    SignInOutcome.PROTOCOL_OFF: "this protocol is switched off for the account; ask its administrator",
    SignInOutcome.SCOPE: "this app password is not for this protocol; make one with its scope",
    SignInOutcome.EXPIRED: "this app password has expired; make a new one",
    SignInOutcome.NETWORK: "this app password may not be used from this address",
    SignInOutcome.ACCOUNT_SUSPENDED: "the account is suspended; ask its administrator",
    SignInOutcome.TENANT_SUSPENDED: "the organisation's service is suspended; ask its administrator",
}
_TEMPORARY_TEXTS = {
    SignInOutcome.TOO_MANY_GUESSES: "too many failed logins; try again later",
    SignInOutcome.BUSY: "too many logins at once; try again in a few seconds",
    SignInOutcome.UNAVAILABLE: "logins cannot be checked at the moment; try again in a few seconds",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The password is right and may be used here.

    `delay_seconds`: wait so long before answering; more than 0 while the login is being guessed at, so
    that a quick answer does not tell a guesser a right password from a wrong one.
    """

    identity: Identity
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Denied:
    """Not let in: `temporary` is 454 (the client comes again), else 535.

    `public`: the client may be told `text`, because the password was right; otherwise `text` is neutral.
    `delay_seconds`: wait so long before answering.
    """

    reason: SignInOutcome
    delay_seconds: float = 0.0

    @property
    def public(self) -> bool:
        """Whether the reason may be told."""
        return self.reason in _PUBLIC_TEXTS

    @property
    def temporary(self) -> bool:
        """Whether the same password may be right a little later."""
        return self.reason in _TEMPORARY_TEXTS

    @property
    def text(self) -> str:
        """A sentence for the client: the reason where it may be told, else the same for all."""
        return _PUBLIC_TEXTS.get(self.reason) or _TEMPORARY_TEXTS.get(self.reason) or NEUTRAL_TEXT


@dataclass(frozen=True, slots=True)
class SignIn:
    """One attempt that named an existing account, with its true reason: for the account's own people.

    `at`: seconds since 1970. `protocol`: `smtp` or `imap`. `address`: the client's. `credential_id`: the app
    password that matched (also when it was then denied), else None. An accepted one is its last use.
    """

    account_id: str
    tenant_id: str
    at: float
    protocol: str
    address: str
    outcome: SignInOutcome
    credential_id: str | None


# Takes each attempt; must not block and must not raise.
SignInSink = Callable[[SignIn], None]
