"""Extra header fields of a program's own: which names are allowed, and what may stand in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.control.errors import Invalid
from gateway.outgoing.composing.fields import text_field

FIELDS_LIMIT = 50
NAME_LIMIT = 76
VALUE_LIMIT = 4_000
"""Characters of a value."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_MESSAGE_IDS = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>(?: <[!-;=?-~]+@[!-;=?-~]+>)*")
_THREADING = frozenset({"in-reply-to", "references", "message-id"})
_VALUES = frozenset({"from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "mime-version"})
_TRACES = frozenset({"received", "return-path", "delivered-to", "envelope-to", "x-original-to", "errors-to"})
_VERDICTS = frozenset({"authentication-results", "received-spf", "dkim-signature", "domainkey-signature"})
_ASKING = frozenset({"return-receipt-to", "apparently-to", "bimi-indicator", "bimi-selector"})
_FORBIDDEN = _VALUES | _TRACES | _VERDICTS | _ASKING
_FORBIDDEN_BEGINNINGS = ("content-", "resent-", "arc-", "x-gatepost-", "x-google-dkim", "downgraded-")


def own_fields(headers: Sequence[tuple[str, str]]) -> list[bytes]:
    """The fields as octets. Raises Invalid for a name that is not allowed or a value that cannot be one."""
    if len(headers) > FIELDS_LIMIT:
        raise Invalid(
            "too-many-headers",
            f"The message has {len(headers)} headers of its own; at most {FIELDS_LIMIT} are allowed.",
            "Leave some out.",
        )
    seen: set[str] = set()
    found = []
    for name, value in headers:
        key = name.lower()
        _check_name(name, key)
        if key in _THREADING:
            _check_message_ids(name, value, one=key == "message-id")
            if key in seen:
                raise _refused(name, "is given twice", "Give it once.")
        seen.add(key)
        found.append(_field(name, value))
    return found


def _check_name(name: str, key: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > NAME_LIMIT:
        raise Invalid(
            "bad-header-name",
            f"{name[:80]!r} cannot be the name of a header.",
            f"Use 1 to {NAME_LIMIT} letters, digits and hyphens, such as X-Campaign.",
        )
    if key in _FORBIDDEN or key.startswith(_FORBIDDEN_BEGINNINGS):
        raise _refused(
            name,
            "is made from the other values of the message, or by the gateway",
            "Use the value of that name (from, to, subject, reply_to, tags …), or leave the header out.",
        )


def _check_message_ids(name: str, value: str, *, one: bool) -> None:
    if not _MESSAGE_IDS.fullmatch(value) or (one and " " in value) or len(value) > VALUE_LIMIT:
        many = "one id" if one else "ids parted by single spaces"
        raise _refused(name, "holds no message id", f"Give {many}, such as <1234@example.com>.")


def _field(name: str, value: str) -> bytes:
    if len(value) > VALUE_LIMIT:
        raise _refused(
            name, f"is longer than {VALUE_LIMIT} characters", "Put long texts into the body or an attachment."
        )
    try:
        return text_field(name, value)
    except ValueError as error:
        raise _refused(name, str(error), "Give one line of text.") from None


def _refused(name: str, what: str, fix: str) -> Invalid:
    return Invalid("bad-header", f"The header {name} {what}.", fix)
