"""What the resolver says of many names: where no server of the operator's can be asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

import dns.exception
import dns.nameserver
import dns.resolver

from gateway.control.domains.publishing.values import RecordKey, Values
from gateway.control.domains.zonefile import plain_value

_TIMEOUT_SECONDS = 3.0
_AT_ONCE = 8
_PATIENCE = 8


class ResolverLook:
    """Asks the configured resolvers, or without any the system's. Blocking."""

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        """`servers`: addresses and ports."""
        self._servers = tuple(servers)

    def __call__(self, keys: Collection[RecordKey]) -> dict[RecordKey, Values | None]:
        """What stands at these names and types, aliases followed; what nobody answers is left out."""
        try:
            resolver = self._resolver()
        except dns.resolver.NoResolverConfiguration:
            return {}
        found: dict[RecordKey, Values | None] = {}
        asked = list(keys)
        with ThreadPoolExecutor(_AT_ONCE, "look") as threads:
            for start in range(0, len(asked), _PATIENCE):
                part = asked[start : start + _PATIENCE]
                answers = zip(part, threads.map(lambda key: _ask(resolver, key), part), strict=True)
                known = {key: values for key, (answered, values) in answers if answered}
                found |= known
                if not known:
                    # Nobody answers: the rest would only take its time.
                    break
        return found

    def _resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=not self._servers)
        resolver.lifetime = _TIMEOUT_SECONDS
        if self._servers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in self._servers]
        return resolver


def _ask(resolver: dns.resolver.Resolver, key: RecordKey) -> tuple[bool, Values | None]:
    try:
        answer = resolver.resolve(key.name + ".", key.type, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return True, None
    except dns.exception.DNSException:
        return False, None
    return True, tuple(sorted(plain_value(record) for record in answer))
