"""Addresses: the envelope's grammar (`mailbox`) and that of a header's authors (`mailboxlist`)."""

from gateway.mail.address.mailbox import (
    DOMAIN_LIMIT,
    LOCAL_LIMIT,
    MAILBOX_LIMIT,
    AddressError,
    Mailbox,
    parse_mailbox,
)
from gateway.mail.address.mailboxlist import MAILBOXES_LIMIT, parse_mailbox_list

__all__ = [
    "DOMAIN_LIMIT",
    "LOCAL_LIMIT",
    "MAILBOXES_LIMIT",
    "MAILBOX_LIMIT",
    "AddressError",
    "Mailbox",
    "parse_mailbox",
    "parse_mailbox_list",
]
