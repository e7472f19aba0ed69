"""What the directory answers besides records: changes, refusals, and how a login is compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from gateway.mail.address import parse_mailbox

# The kind of the one change that stands for "anything may have changed": everything was read anew.
RELOADED = "reloaded"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONGEST_LOGIN = 320


@dataclass(frozen=True, slots=True)
class Change:
    """One row that a control transaction changed: its kind (the change log's word) and id.

    `account_id` is set where the row is an account or belongs to one.
    """

    kind: str
    id: str
    tenant_id: str | None = None
    account_id: str | None = None


class RefusedReason(StrEnum):
    """Why a known account or credential may not act now."""

    UNKNOWN = "unknown"
    REVOKED = "revoked"
    EXPIRED = "expired"
    PROTOCOL_OFF = "protocol_off"
    SCOPE = "scope"
    ACCOUNT_SUSPENDED = "account_suspended"
    TENANT_SUSPENDED = "tenant_suspended"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Refused:
    """No identity: `reason` says why; only UNAVAILABLE is temporary (451)."""

    reason: RefusedReason


def login_name(login: str) -> str:
    """The form in which logins are compared: an address's key, a grant id in lower case.

    What is neither comes back folded, cut to 320 characters, and names nobody.
    """
    # A lone surrogate is no UTF-8, and PostgreSQL takes no NUL in text.
    text = login[:_LONGEST_LOGIN].encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
    if "@" in text:
        try:
            return parse_mailbox(text, smtputf8=True).key
        except ValueError:
            return text.casefold()
    return text.casefold()


def is_grant_id(name: str) -> bool:
    """Whether a compared login has the shape of a grant id."""
    return _UUID.fullmatch(name) is not None
