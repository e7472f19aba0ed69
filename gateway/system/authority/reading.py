"""From an answer to an observation: aliases followed as far as it tells, a referral told from an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.system.authority.wire import Malformed, Reply, Row
from gateway.system.observation import Observation, Outcome, Question

_LONGEST_CHAIN = 8
_ABSENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Delegation:
    """A zone below the one that was asked, and its name servers."""

    zone: str
    servers: tuple[str, ...]
    seconds: float


def observed(question: Question, reply: Reply) -> Observation:
    """What an answer with the code NOERROR or NXDOMAIN says. Raises Malformed (aliases in a circle)."""
    chain, end = _followed(question, reply.answers)
    rows = [row for row in reply.answers if (row.owner, row.type) == (end, question.type)]
    soa = next((row for row in reply.authority if row.type == "SOA"), None)
    if rows or (chain and soa is None and reply.rcode == "NOERROR"):
        least = min((row.ttl for row in (*rows, *reply.answers)), default=0)
        answers = tuple(dict.fromkeys(row.value for row in rows))
        return Observation(question.name, question.type, "found", answers, chain, float(least))
    outcome: Outcome = "no-such-name" if reply.rcode == "NXDOMAIN" else "absent"
    # RFC 2308 §5: the smaller of the SOA's own TTL and its last field.
    seconds = min(soa.ttl, int(soa.value)) if soa is not None else _ABSENT_SECONDS
    return Observation(
        question.name, question.type, outcome, (), chain, float(seconds), zone=soa.owner if soa else ""
    )


def delegation(question: Question, reply: Reply, asked: str) -> Delegation | None:
    """Where the servers of the zone `asked` send those who ask this; None if they answer themselves."""
    if reply.authoritative or reply.answers or reply.rcode != "NOERROR":
        return None
    rows = [row for row in reply.authority if row.type == "NS"]
    zones = {row.owner for row in rows}
    if len(zones) != 1:
        return None
    (zone,) = zones
    deeper = zone.endswith(f".{asked}") and (question.name == zone or question.name.endswith(f".{zone}"))
    if not deeper:
        return None
    return Delegation(zone, tuple(row.value for row in rows), float(min(row.ttl for row in rows)))


def _followed(question: Question, rows: Sequence[Row]) -> tuple[tuple[str, ...], str]:
    """The names that aliases led to, and the last of them."""
    if question.type == "CNAME":
        return (), question.name
    aliases = {row.owner: row.value for row in rows if row.type == "CNAME"}
    chain: list[str] = []
    name = question.name
    while name in aliases:
        name = aliases[name]
        if name in chain or name == question.name or len(chain) == _LONGEST_CHAIN:
            raise Malformed("aliases (CNAME) that go round in a circle, or on and on")
        chain.append(name)
    return tuple(chain), name
