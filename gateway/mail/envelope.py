"""The envelope: MAIL and RCPT with their parameters (RFC 5321 §4.1.1, 1870, 3461, 4954, 6152, 6531).

Keywords are compared in any case, values are kept as written. ENVID and ORCPT stay in their encoded
form, as they go on to the next hop.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

from gateway.mail.address import AddressError, Mailbox, parse_mailbox
from gateway.mail.reply import Refusal, Reply
from gateway.mail.xtext import XtextError, decode_unitext, decode_xtext

ENVID_LIMIT = 100
"""Characters of ENVID as written (RFC 3461 §4.4)."""
ORCPT_LIMIT = 500
"""Characters of ORCPT as written (§4.2)."""

Body = Literal["7BIT", "8BITMIME"]
Return = Literal["FULL", "HDRS"]

# Up to the first > outside a quoted local part.
_PATH = re.compile(r'<((?:"(?:[^"\\]|\\.)*"|[^>"])*)>')
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-<>-~\x80-\U0010ffff]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9\-]+")
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})


class EnvelopeError(Refusal):
    """A MAIL or RCPT that cannot be obeyed; `reply` is the answer to it."""


@dataclass(frozen=True, slots=True)
class MailCommand:
    """What MAIL says.

    `reverse_path` is None for `<>`. `size` is in octets, as the client declares it. `envid` is in
    xtext. `auth` is the decoded mailbox of AUTH=, or "<>" (RFC 4954 §5).
    """

    reverse_path: Mailbox | None
    size: int | None = None
    body: Body | None = None
    smtputf8: bool = False
    ret: Return | None = None
    envid: str | None = None
    auth: str | None = None


@dataclass(frozen=True, slots=True)
class RcptCommand:
    """What RCPT says.

    `notify` is empty if not given; else NEVER, or some of SUCCESS, FAILURE, DELAY. `orcpt` is
    `type;address` as written, the address in xtext.
    """

    recipient: Mailbox
    notify: frozenset[str] = frozenset()
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """All that was said before the message; `reverse_path` is None for the null one."""

    reverse_path: Mailbox | None
    recipients: tuple[RcptCommand, ...]
    ret: Return | None = None
    envid: str | None = None
    smtputf8: bool = False
    body: Body | None = None


def parse_mail_argument(argument: bytes | str) -> MailCommand:
    """What stands behind `MAIL `: `FROM:<path> parameters`.

    White space after the colon is let pass, as everybody does; a path without angle brackets is not.
    Raises EnvelopeError.
    """
    text = _as_text(argument)
    path, rest = _split_path(text, "FROM:", "MAIL FROM:<sender@example.com>", "5.1.7")
    values = _read_parameters(rest, _MAIL_PARAMETERS, "MAIL FROM") if rest else {}
    smtputf8 = "smtputf8" in values
    sender = _parse_sender(path, smtputf8) if path else None
    if not values:
        return MailCommand(sender)
    return MailCommand(
        sender,
        size=cast("int | None", values.get("size")),
        body=cast("Body | None", values.get("body")),
        smtputf8=smtputf8,
        ret=cast("Return | None", values.get("ret")),
        envid=cast("str | None", values.get("envid")),
        auth=cast("str | None", values.get("auth")),
    )


def parse_rcpt_argument(argument: bytes | str, *, smtputf8: bool = False) -> RcptCommand:
    """What stands behind `RCPT `: `TO:<path> parameters`.

    `smtputf8`: MAIL asked for it, so the path need not be ASCII. Raises EnvelopeError.
    """
    text = _as_text(argument)
    path, rest = _split_path(text, "TO:", "RCPT TO:<recipient@example.com>", "5.1.3")
    try:
        recipient = parse_mailbox(path, smtputf8=smtputf8)
    except AddressError as error:
        if error.rule == "not-ascii":
            raise _error(553, "5.6.7", f"{error}; say SMTPUTF8 in MAIL FROM", "recipient not-ascii") from None
        raise _error(501, "5.1.3", f"bad recipient address: {error}", f"recipient {error.rule}") from None
    if not rest:
        return RcptCommand(recipient)
    values = _read_parameters(rest, _RCPT_PARAMETERS, "RCPT TO")
    return RcptCommand(
        recipient,
        notify=cast("frozenset[str]", values.get("notify", frozenset())),
        orcpt=cast("str | None", values.get("orcpt")),
    )


def _as_text(argument: bytes | str) -> str:
    if isinstance(argument, str):
        return argument
    try:
        return argument.decode("utf-8")
    except UnicodeDecodeError:
        raise _error(501, "5.5.2", "the command has octets that are not UTF-8", "command not-utf-8") from None


def _split_path(text: str, keyword: str, usage: str, status: str) -> tuple[str, str]:
    """What stands in the angle brackets, and the parameters."""
    if text[: len(keyword)].upper() != keyword:
        raise _error(501, "5.5.4", f"syntax: {usage}", "command syntax")
    start = len(keyword)
    while text[start : start + 1] == " ":
        start += 1
    match = _PATH.match(text, start)
    if match is None:
        raise _error(501, status, f"the address has to stand in angle brackets: {usage}", "angle brackets")
    rest = text[match.end() :]
    if rest and not rest.startswith(" "):
        raise _error(501, "5.5.4", f"a space has to follow the >: {usage}", "command syntax")
    return match[1], rest.strip(" ")


def _parse_sender(path: str, smtputf8: bool) -> Mailbox:
    try:
        return parse_mailbox(path, smtputf8=smtputf8)
    except AddressError as error:
        if error.rule == "not-ascii":
            raise _error(550, "5.6.7", f"{error}; say SMTPUTF8 in MAIL FROM", "sender not-ascii") from None
        raise _error(501, "5.1.7", f"bad sender address: {error}", f"sender {error.rule}") from None


def _read_parameters(
    text: str, known: dict[str, Callable[[str | None], object]], command: str
) -> dict[str, object]:
    """The values of the parameters, by keyword in lower case."""
    values: dict[str, object] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise _error(501, "5.5.4", f"bad parameter {word[:60]!a} of {command}", "parameter syntax")
        keyword = match[1].upper()[:60]
        read = known.get(keyword)
        if read is None:
            raise _error(555, "5.5.4", f"{command} knows no parameter {keyword}", f"parameter {keyword}")
        if keyword.lower() in values:
            raise _error(501, "5.5.4", f"{keyword} is given twice", f"parameter {keyword}")
        try:
            values[keyword.lower()] = read(match[2])
        except ValueError as error:
            raise _error(501, "5.5.4", f"{keyword}: {error}", f"parameter {keyword}") from None
    return values


def _needed(value: str | None) -> str:
    if value is None:
        raise ValueError("needs a value")
    return value


def _read_size(value: str | None) -> int:
    if not _SIZE.fullmatch(_needed(value)):
        raise ValueError("has to be a number of octets of at most 20 digits")
    return int(_needed(value))


def _read_body(value: str | None) -> Body:
    body = _needed(value).upper()
    if body not in ("7BIT", "8BITMIME"):
        raise ValueError("has to be 7BIT or 8BITMIME")
    return cast("Body", body)


def _read_smtputf8(value: str | None) -> bool:
    if value is not None:
        raise ValueError("takes no value")
    return True


def _read_ret(value: str | None) -> Return:
    ret = _needed(value).upper()
    if ret not in ("FULL", "HDRS"):
        raise ValueError("has to be FULL or HDRS")
    return cast("Return", ret)


def _read_envid(value: str | None) -> str:
    envid = _needed(value)
    if len(envid) > ENVID_LIMIT:
        raise ValueError(f"is longer than {ENVID_LIMIT} characters")
    _check_printable(decode_xtext(envid))
    return envid


def _read_auth(value: str | None) -> str:
    auth = decode_xtext(_needed(value))
    if auth != "<>":
        parse_mailbox(auth, smtputf8=True)
    return auth


def _read_notify(value: str | None) -> frozenset[str]:
    words = frozenset(_needed(value).upper().split(","))
    if words == {"NEVER"} or words <= _NOTIFY:
        return words
    raise ValueError("has to be NEVER, or some of SUCCESS,FAILURE,DELAY")


def _read_orcpt(value: str | None) -> str:
    orcpt = _needed(value)
    if len(orcpt) > ORCPT_LIMIT:
        raise ValueError(f"is longer than {ORCPT_LIMIT} characters")
    decode_orcpt(orcpt)
    return orcpt


def decode_orcpt(orcpt: str) -> tuple[str, str]:
    """Address type (lower case) and address of an ORCPT value. Raises ValueError if it is none."""
    kind, semicolon, address = orcpt.partition(";")
    if not semicolon or not address or not _ADDRESS_TYPE.fullmatch(kind):
        raise ValueError("has to be type;address, as in rfc822;bob@example.com")
    if kind.lower() != "utf-8":
        decoded = decode_xtext(address)
        _check_printable(decoded)
        return kind.lower(), decoded
    try:
        decoded = decode_unitext(address)
    except XtextError:
        decoded = decode_xtext(address)
    if not decoded.isprintable():
        raise ValueError("has a control character in it")
    return "utf-8", decoded


def _check_printable(text: str) -> None:
    """RFC 3461 §4.2 and §4.4: what is encoded is printable US-ASCII."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("encodes something else than printable ASCII")


def _error(code: int, status: str, text: str, rule: str) -> EnvelopeError:
    return EnvelopeError(Reply(code, status, text), rule)


_MAIL_PARAMETERS: dict[str, Callable[[str | None], object]] = {
    "SIZE": _read_size,
    "BODY": _read_body,
    "SMTPUTF8": _read_smtputf8,
    "RET": _read_ret,
    "ENVID": _read_envid,
    "AUTH": _read_auth,
}
_RCPT_PARAMETERS: dict[str, Callable[[str | None], object]] = {"NOTIFY": _read_notify, "ORCPT": _read_orcpt}
