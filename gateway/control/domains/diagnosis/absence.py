"""Nothing where a record should be: where it may have gone instead."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.control.domains.diagnosis.verdict import listed
from gateway.control.domains.view import RecordView
from gateway.system.observation import Observation, Question

_ADDRESSES = ("A", "AAAA")
_NEIGHBOURS = ("A", "TXT", "MX")


def where_else(record: RecordView, observed: Observation, domain: str) -> tuple[Question, ...]:
    """The questions that may tell where a missing record is, the likeliest first."""
    found: list[Question] = []
    if record.type == "CNAME" and observed.outcome == "absent":
        found += [Question(record.name, kind) for kind in _NEIGHBOURS]
    zones = [zone for zone in dict.fromkeys((observed.zone, domain)) if zone and _is_in(record.name, zone)]
    found += [Question(f"{record.name}.{zone}", record.type) for zone in zones]
    if record.purpose == "ownership":
        found.append(Question(domain, record.type))
    label = record.name.removesuffix(domain)
    if label and domain != observed.zone and _is_in(domain, observed.zone):
        found.append(Question(f"{label}{observed.zone}", record.type))
    return tuple(one for one in found if len(one.name) <= 253)


def why_absent(record: RecordView, observed: Observation, beside: Sequence[Observation]) -> str | None:
    """What to tell of a record that is not there; None where nothing more is known."""
    if observed.reason is not None:
        return f"{observed.reason}. Register it, or have it delegated, first."
    if observed.chain:
        return (
            f"The name is an alias (CNAME) of {observed.chain[-1]}, perhaps by a wildcard, "
            f"and nothing is there. Remove the alias at {record.name}, or add the record under the full name."
        )
    for other in beside:
        if other.outcome == "found" and (hint := _found_at(record, other)) is not None:
            return hint
    if record.type == "CNAME" and observed.outcome == "absent":
        return f"{record.name} has other records. No CNAME can stand beside them: remove them first."
    return _asked(record, observed)


def _found_at(record: RecordView, other: Observation) -> str | None:
    if other.name == record.name.lower():
        return _neighbour(record, other)
    if other.name.startswith(f"{record.name.lower()}."):
        zone = other.name[len(record.name) + 1 :]
        label = record.name.lower().removesuffix(f".{zone}")
        return f"The record is at {other.name}: the panel adds {zone} by itself. Enter {label} as its name."
    if record.value in other.answers:
        return f"The record is at {other.name}, the wrong place. Enter it under the name {record.name}."
    return None


def _neighbour(record: RecordView, other: Observation) -> str | None:
    if other.chain or not other.answers or other.type == record.type:
        return None
    if other.type in _ADDRESSES:
        return (
            f"{record.name} answers with addresses ({listed(other.answers)}) and no CNAME: it is proxied, "
            "or an address record stands in its place. Switch the proxy off (DNS only), leave only the CNAME."
        )
    return (
        f"{record.name} has a {other.type} record ({listed(other.answers)}). No CNAME can stand beside it: "
        "remove it first."
    )


def _asked(record: RecordView, observed: Observation) -> str | None:
    if observed.source != "authority" or not observed.zone:
        return None
    label = record.name.lower().removesuffix(f".{observed.zone}")
    servers = f" ({listed(observed.servers)})" if observed.servers else ""
    return (
        f"The name servers of {observed.zone}{servers} have no such record. "
        f"Enter it in the zone {observed.zone}, under the name {label if label != observed.zone else '@'}."
    )


def _is_in(name: str, zone: str) -> bool:
    return bool(zone) and name.lower().endswith(f".{zone}")
