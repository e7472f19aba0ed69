"""What a session hears when its identity does not stand any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.control.directory import RefusedReason
from gateway.mail.reply import Reply

if TYPE_CHECKING:
    from gateway.control.directory import Refused

UNAVAILABLE = Reply(451, "4.3.0", "settings cannot be confirmed at the moment; try again in a few seconds")

_TEXTS = {
    RefusedReason.UNKNOWN: "this account is no longer here",
    RefusedReason.REVOKED: "the app password of this session was revoked; log in with another one",
    RefusedReason.EXPIRED: "the app password of this session has expired; make a new one",
    RefusedReason.PROTOCOL_OFF: "submission was switched off for this account; ask its administrator",
    RefusedReason.SCOPE: "the app password of this session is no longer for submission",
    RefusedReason.ACCOUNT_SUSPENDED: "this account is suspended; ask its administrator",
    RefusedReason.TENANT_SUSPENDED: "the organisation's service is suspended; ask its administrator",
}


def is_final(refused: Refused) -> bool:
    """Whether the session has to end; else it may try again."""
    return refused.reason is not RefusedReason.UNAVAILABLE


def standing_text(refused: Refused) -> str:
    """Why the session has to end. Its client knew the password, so it hears the truth."""
    return _TEXTS.get(refused.reason, "this account may not send at the moment")


def standing_reply(refused: Refused) -> Reply:
    """The answer to the command that found it out; a final one is followed by 421."""
    return Reply(550, "5.7.1", standing_text(refused)) if is_final(refused) else UNAVAILABLE
