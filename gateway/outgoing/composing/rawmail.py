"""A message that comes as octets: whom it goes to, and under which reverse-path."""

from __future__ import annotations

from gateway.control.errors import Invalid
from gateway.mail.address import AddressError, Mailbox, parse_mailbox_list
from gateway.mail.headers import HeaderBlock, count_header, parse_header, split_message
from gateway.mail.message import normalise_newlines
from gateway.outgoing.composing.values import RawMessage
from gateway.outgoing.policy import Ceilings, check_header_size

_RECIPIENTS = ((b"to", "To"), (b"cc", "Cc"), (b"bcc", "Bcc"))
_NOBODY = b"undisclosed-recipients:;"
_HEADER_OCTETS = 1024 * 1024


def header_of(message: RawMessage, ceilings: Ceilings) -> HeaderBlock:
    """Its header. One over the ceilings is counted, not parsed: that costs a hundred times as much.

    Raises Refusal for such a one.
    """
    searched = max(_HEADER_OCTETS, ceilings.header_bytes + len(b"\r\n"))
    block, _ = split_message(normalise_newlines(message.content[:searched]))
    check_header_size(count_header(block), ceilings)
    return parse_header(block)


def recipients_of(header: HeaderBlock, most: int) -> tuple[Mailbox, ...]:
    """Everybody in To, Cc and Bcc; no further fields are read once there are more than `most`.

    Raises Invalid for a field that has anything but addresses.
    """
    found: list[Mailbox] = []
    for key, name in _RECIPIENTS:
        for field in header.get_all(key):
            if len(found) > most:
                return tuple(found)
            if field.value.replace(b" ", b"").lower() in (b"", _NOBODY):
                continue
            try:
                found += parse_mailbox_list(field.value)
            except AddressError as error:
                raise Invalid(
                    "bad-recipients",
                    f"The field {name} cannot be read: {error}.",
                    "Give the recipients beside the message.",
                ) from None
    return tuple(found)


def author_of(header: HeaderBlock) -> Mailbox | None:
    """The first address in From; None where policy will refuse the field anyway."""
    field = header.first(b"from")
    if field is None:
        return None
    try:
        return parse_mailbox_list(field.value)[0]
    except AddressError:
        return None
