"""Checks of the addresses that mail leaves from: their names, their fame, and who shares them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from functools import partial

from gateway.control.doctor.dns import Dns
from gateway.control.doctor.facts import Source
from gateway.control.doctor.values import Check, Finding


def address_checks(
    sources: Sequence[Source], hostname: str, lists: Sequence[str], dns: Dns
) -> Iterator[Check]:
    """For each source address; without any, for the host name alone."""
    if not sources:
        yield Check("helo", hostname, partial(_host, hostname, dns))
    for source in sources:
        yield Check("reverse-dns", source.address, partial(_reverse, source, dns))
        yield Check("helo", source.helo, partial(_helo, source, dns))
        if source.tenants > 1:
            yield Check("shared-address", source.address, partial(_shared, source))
        for zone in lists:
            yield Check("blocklist", source.address, partial(_listed, source, zone, dns))


def _reverse(source: Source, dns: Dns) -> Finding:
    name = ipaddress.ip_address(source.address).reverse_pointer
    found = [value.lower() for value in dns(name, "PTR")]
    fix = (
        f"Let whoever {source.address} is rented from set its reverse DNS to {source.helo}: many receivers "
        "refuse mail without."
    )
    if not found:
        return Finding("reverse-dns", source.address, "red", "There is no PTR record.", fix)
    if source.helo not in found:
        detail = f"PTR says {', '.join(found)}, but mail says {source.helo}."
        return Finding("reverse-dns", source.address, "red", detail, fix)
    return Finding("reverse-dns", source.address, "green", f"PTR is {source.helo}.")


def _helo(source: Source, dns: Dns) -> Finding:
    kind = "AAAA" if ":" in source.address else "A"
    wanted = ipaddress.ip_address(source.address)
    found = dns(source.helo, kind)
    if any(ipaddress.ip_address(one) == wanted for one in found):
        return Finding("helo", source.helo, "green", f"{source.helo} is {source.address}.")
    detail = f"{source.helo} has {', '.join(found) or f'no {kind} record'}, not {source.address}."
    return Finding("helo", source.helo, "red", detail, f"Publish {source.helo} {kind} {source.address}.")


def _host(hostname: str, dns: Dns) -> Finding:
    found = (*dns(hostname, "A"), *dns(hostname, "AAAA"))
    if found:
        return Finding("helo", hostname, "green", f"{hostname} is {', '.join(found)}.")
    fix = f"Publish an A record for {hostname}, and a PTR from its address; `gatepost platform records`."
    return Finding("helo", hostname, "red", "The host name has no address in DNS.", fix)


def _shared(source: Source) -> Finding:
    detail = f"{source.tenants} tenants send from it: what one does to its fame, all feel."
    fix = "`gatepost source create` adds addresses; `gatepost shard update SHARD --pool POOL` moves a shard."
    return Finding("shared-address", source.address, "amber", detail, fix)


def _listed(source: Source, zone: str, dns: Dns) -> Finding:
    answers = dns(_queried(source.address, zone), "A")
    if not answers:
        return Finding("blocklist", source.address, "green", f"Not listed by {zone}.")
    # Lists answer so whom they do not serve: public resolvers, too many questions.
    if any(answer.startswith("127.255.") or not answer.startswith("127.") for answer in answers):
        detail = f"{zone} refuses to answer this resolver ({', '.join(answers)})."
        fix = "Ask with a resolver of your own ([dns] servers), or take the list out of [doctor] blocklists."
        return Finding("blocklist", source.address, "amber", detail, fix)
    detail = f"Listed by {zone} ({', '.join(answers)})."
    fix = f"Find out which mail it was, stop that, then ask {zone} to take the address out."
    return Finding("blocklist", source.address, "red", detail, fix)


def _queried(address: str, zone: str) -> str:
    """The name under which a list knows an address (RFC 5782 §2)."""
    reverse = ipaddress.ip_address(address).reverse_pointer
    return reverse.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa") + f".{zone}"
