"""What a domain's page says, as values for the document and for the script that keeps it fresh. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.control.domains.names import is_below
from gateway.control.domains.view import DomainCheck, RecordView
from gateway.system.rendering import iso

_STATES = {
    "pending": ("waiting", "Waiting for DNS records"),
    "verifying": ("waiting", "Proved; some records are still to come"),
    "active": ("right", "Active"),
    "degraded": ("wrong", "Active, but a record is missing"),
    "suspended": ("wrong", "Suspended: records have been missing for too long"),
    "expired": ("wrong", "Expired: the domain was not proved in time"),
}
_PURPOSES = {
    "ownership": "Proves that the domain is yours",
    "mx": "Brings mail for the domain here",
    "spf": "Says which addresses may send",
    "dkim": "The key that signatures are checked with",
    "dmarc": "What receivers do with mail that is not yours",
    "return-path": "Where undeliverable mail returns to",
    "helo": "The name of a sending address",
    "mta-sts": "Insists on encryption for mail to you",
    "tls-rpt": "Where reports about encryption go",
    "autoconfig": "Sets mail programs up",
    "srv": "Sets mail programs up",
}


@dataclass(frozen=True, slots=True)
class Sign:
    """A state in words; `tone` is right, wrong, waiting or unknown."""

    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Card:
    """One record: its full name, what panels want that add the domain themselves, and how it stands."""

    key: str
    name: str
    short_name: str
    type: str
    value: str
    preference: str | None
    title: str
    required: bool
    sign: Sign
    found: tuple[str, ...]
    hint: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one domain. `zone`: what short names are relative to."""

    name: str
    unicode_name: str
    zone: str
    sign: Sign
    cards: tuple[Card, ...]
    remarks: tuple[str, ...]
    looked: str | None
    next_look: str | None
    reason: str | None


def page_of(check: DomainCheck, zone: str) -> Page:
    """The page of what is known of a domain: the records that are the customer's to publish."""
    domain = check.domain
    records = [record for record in check.records if record.publisher == "customer"]
    return Page(
        name=domain.name,
        unicode_name=domain.unicode_name,
        zone=zone,
        sign=Sign(*_STATES.get(domain.state, ("unknown", domain.state))),
        cards=tuple(_card(n, record, zone) for n, record in enumerate(records)),
        remarks=check.remarks,
        looked=_spelled(check.looked_at),
        next_look=_spelled(check.next_look_at),
        reason=check.reason,
    )


def short_name(name: str, zone: str) -> str:
    """A name as most panels want it: without the zone, `@` for the zone itself."""
    if name == zone:
        return "@"
    return name.removesuffix("." + zone) if is_below(name, zone) else name


def _card(n: int, record: RecordView, zone: str) -> Card:
    preference, value = None, record.value
    if record.type == "MX":
        preference, _, value = record.value.partition(" ")
    return Card(
        key=f"r{n}",
        name=record.name,
        short_name=short_name(record.name, zone),
        type=record.type,
        value=value,
        preference=preference,
        title=_PURPOSES.get(record.purpose, record.purpose),
        required=record.required,
        sign=_sign(record),
        found=record.found if record.state == "invalid" else (),
        hint=record.hint,
        note=record.note,
    )


def _sign(record: RecordView) -> Sign:
    if record.state == "valid":
        if record.propagation == "authority":
            return Sign("waiting", "There, not everywhere yet")
        return Sign("right", "Right")
    words = {
        "missing": Sign("waiting", "Not there yet"),
        "invalid": Sign("wrong", "Not as it should be"),
        "unreachable": Sign("unknown", "Could not be looked up"),
    }
    return words.get(record.state, Sign("unknown", "Not looked at yet"))


def _spelled(at: float | None) -> str | None:
    """A time for programs and people alike; None stays None."""
    return None if at is None else iso(at)
