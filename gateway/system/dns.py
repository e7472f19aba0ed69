"""DNS: typed look-ups with one cache a process, and the hosts file before them.

Absence and failure are different things: `NoSuchName` is an answer, `DnsAway` is none.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename

from gateway.system.clock import Clock

Kind = Literal["MX", "A", "AAAA", "TXT", "PTR", "CNAME"]

_MAX_TTL_SECONDS = 86_400.0
_MIN_TTL_SECONDS = 1.0
_NEGATIVE_TTL_SECONDS = (5.0, 900.0)
_FAILURE_TTL_SECONDS = 5.0
_QUERIES_AT_ONCE = 64
_HOSTS_RELOAD_SECONDS = 10.0


class NoSuchName(Exception):
    """The name does not exist (NXDOMAIN), or is not one that could."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the name {name} does not exist in DNS")
        self.name = name


class DnsAway(Exception):
    """No answer could be had: a timeout, SERVFAIL, or no server at all. Try again later."""

    def __init__(self, name: str, kind: str, why: str) -> None:
        super().__init__(f"DNS look-up of {kind} for {name} failed: {why}")
        self.name = name


@dataclass(frozen=True, slots=True)
class MxHost:
    """One mail exchanger; `host` is an A-label name without final dot, "" for the root (null MX)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer in the cache: values, or the reason why there are none."""

    values: tuple[object, ...]
    trouble: NoSuchName | DnsAway | None
    until: float


class Query(Protocol):
    """Asks the servers. Returns values and seconds to keep them; raises NoSuchName or DnsAway."""

    def __call__(self, name: str, kind: Kind) -> Awaitable[tuple[tuple[object, ...], float]]: ...


class Resolver:
    """Look-ups with positive and negative caching (RFC 2308). Names are A-labels in any case.

    Use one for each event loop. Equal questions asked at the same time become one query.
    """

    def __init__(
        self, query: Query, clock: Clock, hosts: HostsFile | None = None, capacity: int = 20_000
    ) -> None:
        self._query = query
        self._clock = clock
        self._hosts = hosts
        self._capacity = capacity
        self._cache: OrderedDict[tuple[str, Kind], _Kept] = OrderedDict()
        self._running: dict[tuple[str, Kind], asyncio.Task[_Kept]] = {}
        self._room = asyncio.Semaphore(_QUERIES_AT_ONCE)

    async def mx(self, name: str) -> tuple[MxHost, ...]:
        """The mail exchangers of a domain by preference; empty if it exists but has none.

        Raises NoSuchName, DnsAway.
        """
        found = [value for value in await self._look_up(name, "MX") if isinstance(value, MxHost)]
        return tuple(sorted(found, key=lambda mx: (mx.preference, mx.host)))

    async def addresses(self, name: str, *, ipv4: bool = True, ipv6: bool = True) -> tuple[str, ...]:
        """The IP addresses of a host, IPv4 before IPv6; empty if the name exists but has none.

        The hosts file comes first. A family that cannot be looked up counts only if the other
        gives nothing. Raises NoSuchName, DnsAway.
        """
        known = self._hosts.addresses(name, self._clock.monotonic()) if self._hosts is not None else ()
        found = [address for address in known if (ipv6 if ":" in address else ipv4)]
        if known:
            return tuple(found)
        away: DnsAway | None = None
        families: tuple[tuple[Kind, bool], ...] = (("A", ipv4), ("AAAA", ipv6))
        for kind in [kind for kind, asked in families if asked]:
            try:
                found.extend(str(value) for value in await self._look_up(name, kind))
            except DnsAway as error:
                away = error
        if not found and away is not None:
            raise away
        return tuple(found)

    async def names_of(self, address: str) -> tuple[str, ...]:
        """The names an IP address points back to (PTR).

        Raises NoSuchName, DnsAway.
        """
        reverse = dns.reversename.from_address(address).to_text(omit_final_dot=True)
        return tuple(str(value) for value in await self._look_up(reverse, "PTR"))

    async def texts(self, name: str) -> tuple[bytes, ...]:
        """The TXT records of a name, the strings of each joined.

        Raises NoSuchName, DnsAway.
        """
        return tuple(value for value in await self._look_up(name, "TXT") if isinstance(value, bytes))

    async def alias(self, name: str) -> str | None:
        """Where the name's CNAME points, or None.

        Raises NoSuchName, DnsAway.
        """
        values = await self._look_up(name, "CNAME")
        return str(values[0]) if values else None

    async def _look_up(self, name: str, kind: Kind) -> tuple[object, ...]:
        key = (name.lower().rstrip("."), kind)
        kept = self._cache.get(key)
        if kept is None or kept.until <= self._clock.monotonic():
            kept = await self._fresh(key)
        else:
            self._cache.move_to_end(key)
        if kept.trouble is not None:
            raise kept.trouble.with_traceback(None)
        return kept.values

    async def _fresh(self, key: tuple[str, Kind]) -> _Kept:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._ask(key))
            task.add_done_callback(lambda _: self._running.pop(key, None))
        # One who gives up waiting must not take the answer from the others.
        return await asyncio.shield(task)

    async def _ask(self, key: tuple[str, Kind]) -> _Kept:
        async with self._room:
            kept = await self._answer(*key)
        self._cache[key] = kept
        self._cache.move_to_end(key)
        while len(self._cache) > self._capacity:
            self._cache.popitem(last=False)
        return kept

    async def _answer(self, name: str, kind: Kind) -> _Kept:
        try:
            values, seconds = await self._query(name, kind)
        except _NegativeAnswer as answer:
            return _Kept((), NoSuchName(name), self._clock.monotonic() + answer.seconds)
        except DnsAway as error:
            return _Kept((), error, self._clock.monotonic() + _FAILURE_TTL_SECONDS)
        except NoSuchName as error:
            return _Kept((), error, self._clock.monotonic() + _NEGATIVE_TTL_SECONDS[0])
        return _Kept(values, None, self._clock.monotonic() + seconds)


class _NegativeAnswer(NoSuchName):
    """NXDOMAIN, with the seconds for which it may be kept."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name)
        self.seconds = seconds


class ServerQuery:
    """Asks real name servers through dnspython.

    `servers` are `address` or `address:port` (`[v6]:port`); empty: those of `/etc/resolv.conf`.
    """

    def __init__(
        self, servers: Sequence[str], *, timeout_seconds: float = 3.0, lifetime_seconds: float = 10.0
    ) -> None:
        self._resolver = _resolver(servers)
        if self._resolver is not None:
            self._resolver.timeout = timeout_seconds
            self._resolver.lifetime = lifetime_seconds

    async def __call__(self, name: str, kind: Kind) -> tuple[tuple[object, ...], float]:
        """See Query."""
        if self._resolver is None:
            raise DnsAway(name, kind, "no name server is configured; set [dns] servers")
        try:
            question = dns.name.from_text(name)
            answer = await self._resolver.resolve(question, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            raise _NegativeAnswer(name, _negative_seconds(_response_of(error))) from None
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
            raise NoSuchName(name) from None
        except (dns.exception.DNSException, OSError) as error:
            raise DnsAway(name, kind, str(error) or type(error).__name__) from error
        if answer.rrset is None:
            return (), _negative_seconds(answer.response)
        seconds = min(max(float(answer.rrset.ttl), _MIN_TTL_SECONDS), _MAX_TTL_SECONDS)
        read = _READERS[kind]
        return tuple(read(record) for record in answer.rrset), seconds


def _resolver(servers: Sequence[str]) -> dns.asyncresolver.Resolver | None:
    if not servers:
        try:
            return dns.asyncresolver.Resolver()
        except (dns.resolver.NoResolverConfiguration, OSError):
            return None
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [_name_server(server) for server in servers]
    return resolver


def _name_server(text: str) -> dns.nameserver.Do53Nameserver:
    """Raises ValueError if `text` is not an address with or without port."""
    address, port = text, 53
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        port = int(rest.lstrip(":") or 53)
    elif text.count(":") == 1:
        address, _, digits = text.partition(":")
        port = int(digits)
    return dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(address)), port)


def _response_of(error: dns.resolver.NXDOMAIN) -> dns.message.Message | None:
    responses = error.kwargs.get("responses") or {}
    return next(iter(responses.values()), None)


def _negative_seconds(response: dns.message.Message | None) -> float:
    """RFC 2308 §5: the smaller of the SOA's own TTL and its last field."""
    least, most = _NEGATIVE_TTL_SECONDS
    for rrset in response.authority if response is not None else ():
        if rrset.rdtype == dns.rdatatype.SOA:
            return min(max(float(min(rrset.ttl, rrset[0].minimum)), least), most)
    return least


def _name_of(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


_READERS: dict[Kind, Callable[..., object]] = {
    "MX": lambda record: MxHost(record.preference, _name_of(record.exchange)),
    "A": lambda record: record.address,
    "AAAA": lambda record: record.address,
    "TXT": lambda record: b"".join(record.strings),
    "PTR": lambda record: _name_of(record.target),
    "CNAME": lambda record: _name_of(record.target),
}


class HostsFile:
    """The machine's own table of names (`/etc/hosts`), read again when it has changed."""

    def __init__(self, path: Path = Path("/etc/hosts")) -> None:
        self._path = path
        self._names: dict[str, tuple[str, ...]] = {}
        self._stamp: tuple[int, int] | None = None
        self._look_at = float("-inf")

    def addresses(self, name: str, now: float) -> tuple[str, ...]:
        """The addresses of a host by this file; `now` is monotonic seconds."""
        if now >= self._look_at:
            self._look_at = now + _HOSTS_RELOAD_SECONDS
            self._refresh()
        return self._names.get(name.lower().rstrip("."), ())

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            if (status.st_mtime_ns, status.st_size) == self._stamp:
                return
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            self._names, self._stamp = {}, None
            return
        self._stamp = (status.st_mtime_ns, status.st_size)
        self._names = _parse_hosts(text)


def _parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    names: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        try:
            address = str(ipaddress.ip_address(address))
        except ValueError:
            continue
        for alias in aliases:
            names.setdefault(alias.lower().rstrip("."), []).append(address)
    return {name: tuple(sorted(set(found), key=_ipv4_first)) for name, found in names.items()}


def _ipv4_first(address: str) -> tuple[bool, str]:
    return ":" in address, address
