"""Where a route leads for a recipient domain: the hosts to try, in order (RFC 5321 §5.1)."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from gateway.outgoing.relay.replies import PeerReply, printable
from gateway.outgoing.relay.routes import MxRoute, SmarthostRoute
from gateway.system.addresses import is_public
from gateway.system.dns import DnsAway, MxHost, NoSuchName, Resolver

if TYPE_CHECKING:
    from gateway.control.records import SourceRecord

ADDRESSES_A_TRY = 5
"""How many addresses one attempt goes to before it waits for the next."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address to connect to; `host` is the name its certificate should have."""

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}[{self.address}]:{self.port}"


class NoWay(Exception):
    """There is nowhere to go, for now (4xx) or for good (5xx); `reply` says why, as if a peer had."""

    def __init__(self, code: int, enhanced: str, why: str) -> None:
        super().__init__(why)
        self.reply = PeerReply(code, f"{enhanced} {printable(why.encode())}".encode("ascii"))


class Hosts:
    """Finds the hosts of a route.

    `own_names` are the names under which this installation answers, in lower case: mail for them
    must not be sent to ourselves. `port` is used for mail exchangers. `allow_private`: these may have
    addresses of one's own network. Otherwise whoever chooses a recipient would choose what this machine
    connects to there, and read the answers in the bounce. A smarthost is the operator's choice, and free.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        own_names: frozenset[str],
        port: int = 25,
        allow_private: bool = False,
        shuffle: Callable[[list[str]], None] = random.shuffle,
    ) -> None:
        self._resolver = resolver
        self._own_names = own_names
        self._port = port
        self._allow_private = allow_private
        self._shuffle = shuffle

    async def of(
        self, route: MxRoute | SmarthostRoute, domain: str, source: SourceRecord | None
    ) -> tuple[Endpoint, ...]:
        """The endpoints for mail to `domain`, best first, at most `ADDRESSES_A_TRY`.

        Raises NoWay.
        """
        if isinstance(route, SmarthostRoute):
            return await self._smarthost(route, source)
        literal = _address_literal(domain)
        if literal is not None:
            if not self._may_go_to(literal):
                raise NoWay(550, "5.1.2", f"{literal} is no public address")
            return (Endpoint(literal, literal, self._port),)
        names = self._in_order(await self._exchangers(domain), domain)
        return await self._endpoints(domain, names, source)

    async def _exchangers(self, domain: str) -> Sequence[MxHost]:
        try:
            found = await self._resolver.mx(domain)
        except NoSuchName:
            raise NoWay(550, "5.1.2", f"the domain {domain} does not exist") from None
        except DnsAway as error:
            raise NoWay(451, "4.4.3", str(error)) from None
        if len(found) == 1 and not found[0].host:
            # RFC 7505 §3
            raise NoWay(556, "5.1.10", f"the domain {domain} takes no mail (null MX)")
        # RFC 5321 §5.1: without MX records the domain itself is its mail exchanger.
        return [mx for mx in found if mx.host] or [MxHost(0, domain)]

    def _in_order(self, exchangers: Sequence[MxHost], domain: str) -> list[str]:
        """By preference, equals at random; from our own preference on nobody (RFC 5321 §5.1)."""
        own = min((mx.preference for mx in exchangers if mx.host in self._own_names), default=None)
        usable = [mx for mx in exchangers if own is None or mx.preference < own]
        if not usable:
            raise NoWay(554, "5.4.6", f"the best mail exchanger of {domain} is this gateway itself")
        names: list[str] = []
        usable.sort(key=lambda mx: mx.preference)
        for _, equals in groupby(usable, key=lambda mx: mx.preference):
            group = [mx.host for mx in equals]
            self._shuffle(group)
            names.extend(name for name in group if name not in names)
        return names

    async def _endpoints(
        self, domain: str, names: Sequence[str], source: SourceRecord | None
    ) -> tuple[Endpoint, ...]:
        ipv4, ipv6 = await self._families(source)
        found: list[Endpoint] = []
        away: DnsAway | None = None
        is_private = False
        for name in names:
            try:
                addresses = list(await self._resolver.addresses(name, ipv4=ipv4, ipv6=ipv6))
            except NoSuchName:
                continue
            except DnsAway as error:
                away = error
                continue
            usable = [address for address in addresses if self._may_go_to(address)]
            is_private = is_private or len(usable) < len(addresses)
            found.extend(Endpoint(name, address, self._port) for address in usable)
            if len(found) >= ADDRESSES_A_TRY:
                break
        if found:
            return tuple(found[:ADDRESSES_A_TRY])
        if away is not None:
            raise NoWay(451, "4.4.3", str(away))
        if is_private:
            raise NoWay(550, "5.4.4", f"no mail exchanger of {domain} has a public address")
        raise NoWay(550, "5.4.4", f"no mail exchanger of {domain} has an address to reach it by")

    def _may_go_to(self, address: str) -> bool:
        return self._allow_private or is_public(address)

    async def _smarthost(self, route: SmarthostRoute, source: SourceRecord | None) -> tuple[Endpoint, ...]:
        """A smarthost that cannot be found is the operator's mistake: the mail waits."""
        if _is_address(route.host):
            return (Endpoint(route.host, route.host, route.port),)
        ipv4 = source is None or source.ipv4 is not None
        ipv6 = source is None or source.ipv6 is not None
        try:
            addresses = await self._resolver.addresses(route.host, ipv4=ipv4, ipv6=ipv6)
        except NoSuchName:
            raise NoWay(451, "4.4.4", f"the smarthost {route.host} does not exist in DNS") from None
        except DnsAway as error:
            raise NoWay(451, "4.4.3", str(error)) from None
        if not addresses:
            raise NoWay(451, "4.4.4", f"the smarthost {route.host} has no address")
        return tuple(Endpoint(route.host, address, route.port) for address in addresses[:ADDRESSES_A_TRY])

    async def _families(self, source: SourceRecord | None) -> tuple[bool, bool]:
        """Which of IPv4 and IPv6 mail exchangers are reached by.

        IPv6 only with a PTR that is our HELO name (large receivers refuse it otherwise), or if the
        source has nothing else: then it was forced.
        """
        if source is None or source.ipv6 is None:
            return True, False
        if source.ipv4 is None:
            return False, True
        try:
            names = await self._resolver.names_of(source.ipv6)
        except (NoSuchName, DnsAway):
            return True, False
        return True, source.helo.lower().rstrip(".") in names


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _address_literal(domain: str) -> str | None:
    """The address of `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3)."""
    if not (domain.startswith("[") and domain.endswith("]")):
        return None
    text = domain[1:-1]
    text = text[5:] if text.lower().startswith("ipv6:") else text
    return text if _is_address(text) else None
