"""Mail addresses by the strict grammar of RFC 5321 §4.1.2, extended by RFC 6531 §3.3.

Refused by name, not repaired: source routes (§4.1.1.3 lets a server decline them), comments and
folding white space, addresses without a domain, address literals other than IPv4 and IPv6.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

from gateway.mail.idna import LABEL_LIMIT, DomainError, to_ascii

LOCAL_LIMIT = 64
"""Octets of a local part (RFC 5321 §4.5.3.1.1)."""
DOMAIN_LIMIT = 255
"""Octets of a domain (§4.5.3.1.2)."""
MAILBOX_LIMIT = 254
"""Octets of a mailbox: a path of 256 (§4.5.3.1.3) less its angle brackets."""

ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_PLAIN = re.compile(rf"([{ATEXT}]+(?:\.[{ATEXT}]+)*)@({_LABEL}(?:\.{_LABEL})*)")
_DOT_STRING = re.compile(rf"[{ATEXT}\x80-\U0010ffff]+(?:\.[{ATEXT}\x80-\U0010ffff]+)*")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_ASCII_LABEL = re.compile(_LABEL)
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zs", "Zl", "Zp"})


class AddressError(ValueError):
    """No address by our grammar. `rule` is a short constant name of what it breaks, for logs and tests.

    The text is for people and quotes no more than 80 characters of the input.
    """

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address.

    `local` is the local part without quoting, so `"a"@b` and `a@b` are one. `domain` is as written;
    an address literal keeps its brackets. Two are compared by `key`, never by `==`.
    """

    local: str
    domain: str

    @property
    def is_literal(self) -> bool:
        """The domain is an address literal, `[192.0.2.1]`."""
        return self.domain.startswith("[")

    @property
    def is_ascii(self) -> bool:
        """Can travel without SMTPUTF8."""
        return self.local.isascii() and self.domain.isascii()

    @property
    def domain_key(self) -> str:
        """The domain in lower-case A-labels."""
        return to_ascii(self.domain)

    @property
    def key(self) -> str:
        """The address as compared and looked up: local part without case, domain in A-labels.

        Ours ignores case in local parts (RFC 5321 §2.4 leaves that to the receiving host).
        """
        local = self.local
        if local.isascii():
            return f"{local.lower()}@{to_ascii(self.domain)}"
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).casefold())
        return f"{folded}@{to_ascii(self.domain)}"

    def __str__(self) -> str:
        """The form on the wire, without angle brackets; the local part is quoted if it needs to be."""
        if _DOT_STRING.fullmatch(self.local):
            return f"{self.local}@{self.domain}"
        quoted = self.local.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"@{self.domain}'


def parse_mailbox(text: str, *, smtputf8: bool = False) -> Mailbox:
    """The address `text` is, all of it: no angle brackets, no white space around it.

    Without `smtputf8` everything is ASCII (rule `not-ascii`). Raises AddressError.
    """
    match = _PLAIN.fullmatch(text)
    if match is not None and len(text) <= MAILBOX_LIMIT:
        local, domain = match.groups()
        if len(local) <= LOCAL_LIMIT:
            return Mailbox(local, domain)
    return _parse_carefully(text, smtputf8)


def _parse_carefully(text: str, smtputf8: bool) -> Mailbox:
    if not text:
        raise AddressError("empty", "the address is empty")
    if not smtputf8 and not text.isascii():
        raise AddressError("not-ascii", f"{shown(text)} is not ASCII and SMTPUTF8 was not asked for")
    if len(text) > 2 * MAILBOX_LIMIT:
        raise AddressError("length", f"the address {shown(text)} is over {MAILBOX_LIMIT} octets")
    _check_characters(text)
    if text[0] == "@":
        raise AddressError("source-route", f"{shown(text)} has a source route; give the plain address")
    local, domain = _split_at(text)
    if not domain:
        raise AddressError("no-domain", f"the address {shown(text)} has no domain after an @")
    _check_length(local, text, domain)
    parsed = Mailbox(_parse_local(local, text), domain)
    _check_domain(domain, text)
    return parsed


def _split_at(text: str) -> tuple[str, str]:
    """Local part (quoted, if it is) and domain; the domain is empty if there is no @."""
    quoted = QUOTED.match(text)
    if quoted is None:
        local, _, domain = text.partition("@")
        return local, domain
    if text[quoted.end() : quoted.end() + 1] not in ("@", ""):
        raise AddressError("local-part", f"the quoted local part of {shown(text)} does not end at the @")
    return quoted[0], text[quoted.end() + 1 :]


def _parse_local(local: str, text: str) -> str:
    if local.startswith('"'):
        quoted = QUOTED.fullmatch(local)
        if quoted is None:
            raise AddressError("local-part", f"the quoted local part of {shown(text)} does not end")
        content = _QUOTED_PAIR.sub(r"\1", quoted[1])
        if not content:
            raise AddressError("local-part", f"the local part of {shown(text)} is empty")
        return content
    if not _DOT_STRING.fullmatch(local):
        raise AddressError(
            "local-part", f"the local part of {shown(text)} has a character or a dot where none may be"
        )
    return local


def _check_characters(text: str) -> None:
    """No control, no white space but a plain space, nothing that turns the reading direction."""
    for character in text:
        if character < " " or character == "\x7f":
            raise AddressError("control-character", f"the address {shown(text)} has a control character")
        if character > "\x7f" and unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
            raise AddressError(
                "invisible-character", f"the address {shown(text)} has the invisible U+{ord(character):04X}"
            )


def _check_length(local: str, text: str, domain: str) -> None:
    if len(local.encode()) > LOCAL_LIMIT:
        raise AddressError("local-part-length", f"{shown(text)} has over {LOCAL_LIMIT} octets before the @")
    if len(domain.encode()) > DOMAIN_LIMIT:
        raise AddressError("domain-length", f"the domain of {shown(text)} is over {DOMAIN_LIMIT} octets")
    if len(text.encode()) > MAILBOX_LIMIT:
        raise AddressError("length", f"the address {shown(text)} is over {MAILBOX_LIMIT} octets")


def _check_domain(domain: str, text: str) -> None:
    if domain.startswith("["):
        _check_literal(domain, text)
        return
    for label in domain.split("."):
        if len(label) > LABEL_LIMIT:
            raise AddressError("domain-label", f"{shown(text)} has a domain label over {LABEL_LIMIT} octets")
        if label.isascii() and not _ASCII_LABEL.fullmatch(label):
            raise AddressError("domain", f"the domain of {shown(text)} is no domain name")
    try:
        encoded = to_ascii(domain)
    except DomainError as error:
        raise AddressError("domain-idna", f"{error} of {shown(text)}") from None
    if len(encoded) > DOMAIN_LIMIT:
        raise AddressError("domain-length", f"the A-labels of {shown(text)} are over {DOMAIN_LIMIT} octets")


def _check_literal(domain: str, text: str) -> None:
    """RFC 5321 §4.1.3: `[192.0.2.1]` or `[IPv6:2001:db8::1]`."""
    inner = domain[1:-1]
    try:
        if not domain.endswith("]"):
            raise ValueError("no closing bracket")
        if inner[:5].lower() == "ipv6:":
            if "%" in inner:
                raise ValueError("a zone")
            ipaddress.IPv6Address(inner[5:])
        elif _IPV4.fullmatch(inner):
            ipaddress.IPv4Address(inner)
        else:
            raise ValueError("neither")
    except ValueError:
        raise AddressError("address-literal", f"the address literal of {shown(text)} is not valid") from None


def shown(text: str) -> str:
    """`text` for a message to people: quoted, escaped to ASCII, at most 80 characters of it."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")
