"""A look at DNS: are a domain's ownership and key records there? The seam to DNS is one callable.

The watch over all records, with hints, grace and propagation, is a later issue's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import dns.exception
import dns.resolver

from gateway.control.domains.view import RecordState, RecordView
from gateway.system.dns import DnsAway, NoSuchName

_TIMEOUT_SECONDS = 5.0
_LONGEST_VALUE = 4096
_MOST_VALUES = 50


class TxtLookup(Protocol):
    """The TXT records of a name, each joined into one text; CNAMEs are followed. Blocking.

    Raises NoSuchName, DnsAway; an empty answer means that the name has no TXT record.
    """

    def __call__(self, name: str) -> Sequence[str]: ...


class DnsTxtLookup:
    """Asks the configured servers, or without any the system's."""

    def __init__(self, servers: Sequence[str] = ()) -> None:
        """`servers` are `address` or `address:port`, `[address]:port` for IPv6."""
        self._servers = tuple(servers)

    def __call__(self, name: str) -> Sequence[str]:
        """See TxtLookup."""
        try:
            answer = self._resolver().resolve(name + ".", "TXT", search=False)
        except dns.resolver.NXDOMAIN:
            raise NoSuchName(name) from None
        except dns.resolver.NoAnswer:
            return ()
        except dns.exception.DNSException as error:
            raise DnsAway(name, "TXT", type(error).__name__) from error
        texts = [b"".join(record.strings).decode("ascii", "replace") for record in answer]
        return tuple(text[:_LONGEST_VALUE] for text in texts[:_MOST_VALUES])

    def _resolver(self) -> dns.resolver.Resolver:
        try:
            resolver = dns.resolver.Resolver(configure=not self._servers)
        except dns.resolver.NoResolverConfiguration as error:
            raise DnsAway("/etc/resolv.conf", "TXT", "no server is configured") from error
        resolver.lifetime = _TIMEOUT_SECONDS
        if self._servers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(*_server(one)) for one in self._servers]
        return resolver


def checked(record: RecordView, lookup: TxtLookup) -> RecordView:
    """The record with the state that DNS shows now; other types than TXT stay unchecked."""
    if record.type != "TXT" or record.purpose not in ("ownership", "dkim"):
        return record
    try:
        found = tuple(lookup(record.name))
    except NoSuchName:
        return replace(record, state="missing")
    except DnsAway:
        return replace(record, state="unreachable")
    return replace(record, state=_state(record, found), found=found)


def _state(record: RecordView, found: Sequence[str]) -> RecordState:
    if not found:
        return "missing"
    if record.purpose == "dkim":
        # One record only (RFC 6376 §3.6.2.2): with several, verifiers choose as they like.
        return "valid" if len(found) == 1 and _tags(found[0]) == _tags(record.value) else "invalid"
    return "valid" if record.value in [text.strip() for text in found] else "invalid"


def _tags(text: str) -> dict[str, str]:
    """The tags of a key record that matter, without the white space that may stand in them."""
    pairs = (part.partition("=") for part in text.split(";"))
    tags = {name.strip(): re.sub(r"\s+", "", value) for name, _, value in pairs if name.strip()}
    return {"k": tags.get("k", "rsa"), "p": tags.get("p", ""), "v": tags.get("v", "DKIM1")}


def _server(text: str) -> tuple[str, int]:
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        return address, int(port[1:] or 53)
    if text.count(":") == 1:
        address, _, port = text.partition(":")
        return address, int(port)
    return text, 53
