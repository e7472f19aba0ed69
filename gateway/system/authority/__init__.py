"""What a zone's own name servers say, and what the resolver does.

authorities = open_authorities(settings, clock, secrets.randbits)
observation = await authorities.ask(Question("_dmarc.acme.test", "TXT"), "acme.test", Budget(3))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dns.resolver

from gateway.system.authority.authorities import Authorities
from gateway.system.authority.exchange import Exchange, RandomBits, Server
from gateway.system.authority.pace import Pace
from gateway.system.authority.zones import Budget, BudgetSpent, Busy
from gateway.system.clock import Clock


@dataclass(frozen=True, slots=True)
class AuthoritySettings:
    """`resolvers`: `address:port` each, none: those of `/etc/resolv.conf`; `port`: of every authority.

    `queries_per_second` holds for each name server, `in_flight` for all together. `allow_private`: whether a
    zone's servers may have addresses of a private network or of this machine.
    """

    resolvers: tuple[str, ...] = ()
    queries_per_second: int = 20
    in_flight: int = 100
    port: int = 53
    timeout_seconds: float = 2.0
    allow_private: bool = False


def open_authorities(settings: AuthoritySettings, clock: Clock, random_bits: RandomBits) -> Authorities:
    """Ready to ask, in the event loop that runs."""
    exchange = Exchange(random_bits, in_flight=settings.in_flight, timeout_seconds=settings.timeout_seconds)
    pace = Pace(settings.queries_per_second, clock)
    resolvers = _resolvers(settings.resolvers)
    return Authorities(
        exchange, pace, resolvers, clock, port=settings.port, allow_private=settings.allow_private
    )


def _resolvers(named: Sequence[str]) -> tuple[Server, ...]:
    if named:
        return tuple(_server(text) for text in named)
    try:
        found = dns.resolver.Resolver()
    except (dns.resolver.NoResolverConfiguration, OSError):
        return ()
    return tuple(Server(str(address), found.port) for address in found.nameservers)


def _server(text: str) -> Server:
    host, _, port = text.rpartition(":")
    return Server(host.strip("[]"), int(port))


__all__ = ["Authorities", "AuthoritySettings", "Budget", "BudgetSpent", "Busy", "open_authorities"]
