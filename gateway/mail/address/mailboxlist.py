"""Who a header says wrote the message: a strict grammar for From, Sender and Resent-From.

RFC 5322 §3.4 lets one field be read in several ways: groups, nested comments, obsolete routes, white
space inside addresses, several addresses. What one reader signs for, another may show as somebody
else. So only two forms are known here, parted by commas:

    local@domain
    Display Name <local@domain>

The display name is missing, a quoted string, or words: atoms, dots, RFC 2047 encoded words, raw UTF-8.
Everything else is an AddressError that names the rule.
"""

from __future__ import annotations

import base64
import binascii
import re

from gateway.mail.address.mailbox import ATEXT, QUOTED, AddressError, Mailbox, parse_mailbox, shown

MAILBOXES_LIMIT = 50
"""Addresses in one field: more authors than any message has."""
VALUE_LIMIT = 32_768
"""Characters of one field that are looked at."""

_WRITE = "write local@domain or Name <local@domain>"
_FOLD = re.compile(r"\r\n(?=[ \t])")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SPACE = re.compile(r"[ \t]*")
_WORD = re.compile(rf"[{ATEXT}.\x80-\U0010ffff]+")
_LOCAL = re.compile(rf'(?:"(?:[^"\\]|\\.)*"|[{ATEXT}.\x80-\U0010ffff]+)@')
_DOMAIN_END = re.compile(r"[ \t,<>;]")
_ENCODED_WORD = re.compile(r"=\?[^?]*\?([^?]*)\?([^?]*)\?=")

# What a reader of RFC 5322 would take a character for where we know none: (rule, what it is).
_REFUSED = {
    "(": ("comment", "a comment in brackets"),
    ")": ("comment", "a closing bracket"),
    ":": ("group", "a group (name: addresses;)"),
    ";": ("group", "a semicolon, which ends a group"),
    "@": ("at-sign", "an @ with nothing, or white space, before it"),
    "<": ("angle-brackets", "a second opening angle bracket"),
    ">": ("angle-brackets", "a closing angle bracket without an opening one"),
    ",": ("empty-element", "a comma without an address before it"),
    '"': ("display-name", "a quotation mark that is not the start and end of the whole display name"),
    "[": ("display-name", "a square bracket outside an address"),
    "]": ("display-name", "a square bracket outside an address"),
    "\\": ("display-name", "a backslash outside quotation marks"),
}


def parse_mailbox_list(value: bytes | str) -> tuple[Mailbox, ...]:
    """The addresses of a From, Sender or Resent-From field, in order; at least one.

    `value` is what stands behind the colon, folded or not; octets are UTF-8. Addresses may be
    internationalised: whether the envelope allows that is the caller's to ask (`Mailbox.is_ascii`).
    Raises AddressError, whose `rule` names what is not known here.
    """
    text = _as_text(value)
    found: list[Mailbox] = []
    position = _skip(text, 0)
    if position == len(text):
        raise AddressError("empty", "the field names no address")
    while True:
        mailbox, position = _parse_element(text, position)
        found.append(mailbox)
        position = _skip(text, position)
        if position == len(text):
            return tuple(found)
        if text[position] != ",":
            raise _refusal(text, position)
        if len(found) == MAILBOXES_LIMIT:
            raise AddressError("too-many", f"the field names more than {MAILBOXES_LIMIT} addresses")
        position = _skip(text, position + 1)
        if position == len(text):
            raise AddressError("empty-element", f"{shown(text)} ends with a comma; name an address behind it")


def _as_text(value: bytes | str) -> str:
    if len(value) > VALUE_LIMIT:
        raise AddressError("length", f"the field is longer than {VALUE_LIMIT} octets")
    if isinstance(value, str):
        text = value
    else:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            raise AddressError("not-utf-8", "the field has octets that are not UTF-8") from None
    text = _FOLD.sub("", text.removesuffix("\r\n"))
    control = _CONTROL.search(text)
    if control is not None:
        number = ord(control[0])
        raise AddressError("control-character", f"the field has the control character U+{number:04X}")
    return text


def _parse_element(text: str, start: int) -> tuple[Mailbox, int]:
    """One address and the position behind it."""
    if _LOCAL.match(text, start) is not None:
        return _parse_addr_spec(text, start)
    if text.startswith("@", start):
        raise AddressError("source-route", f"{shown(text[start:])} has a source route")
    position = _skip_display_name(text, start)
    if position == len(text):
        raise AddressError("no-address", f"{shown(text[start:])} is no address; {_WRITE}")
    if text[position] != "<":
        if text[position] == "," and position > start:
            raise AddressError("no-address", f"{shown(text[start:position])} before a comma is no address")
        raise _refusal(text, position)
    mailbox, position = _parse_addr_spec(text, position + 1)
    if text[position : position + 1] != ">":
        raise AddressError("angle-brackets", f"no > ends the address of {shown(text[start:])}")
    return mailbox, position + 1


def _skip_display_name(text: str, position: int) -> int:
    """The position behind a display name and the white space after it."""
    quoted = QUOTED.match(text, position)
    if quoted is not None:
        _check_encoded_words(quoted[1])
        return _skip(text, quoted.end())
    start = position
    while (word := _WORD.match(text, position)) is not None:
        position = _skip(text, word.end())
    _check_encoded_words(text[start:position])
    return position


def _parse_addr_spec(text: str, start: int) -> tuple[Mailbox, int]:
    """The address that begins at `start`, up to white space or a delimiter."""
    local = _LOCAL.match(text, start)
    if local is None:
        if text.startswith("@", start):
            raise AddressError("source-route", f"{shown(text[start:])} has a source route")
        raise AddressError("no-address", f"no address begins at {shown(text[start:])}")
    end = _DOMAIN_END.search(text, local.end())
    stop = len(text) if end is None else end.start()
    address = text[start:stop]
    if "=?" in address and "?=" in address:
        raise AddressError("encoded-word", f"the address {shown(address)} has an encoded word in it")
    for sign in "():":
        if sign in text[local.end() : stop] and not text.startswith("[", local.end()):
            raise _refusal(text, text.index(sign, local.end()))
    return parse_mailbox(address, smtputf8=True), stop


def _check_encoded_words(name: str) -> None:
    """No encoded word hides a line end or a NUL: readers have cut the shown name there."""
    for encoding, payload in _ENCODED_WORD.findall(name):
        try:
            if encoding in "bB":
                octets = base64.b64decode(payload + "=" * (-len(payload) % 4))
            else:
                octets = binascii.a2b_qp(payload, header=True)
        except ValueError:
            continue  # readers show it as it stands
        if b"\x00" in octets or b"\r" in octets or b"\n" in octets:
            raise AddressError("encoded-word", "an encoded word of the display name has a line end or NUL")


def _refusal(text: str, position: int) -> AddressError:
    rule, what = _REFUSED.get(text[position], ("display-name", "words that belong to no address"))
    return AddressError(rule, f"{shown(text)} has {what}; {_WRITE}")


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()
