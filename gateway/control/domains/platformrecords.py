"""The records of the platform itself: its host name, its addresses, and the zone of the trial names."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.dnsrecords import domain_records, platform_spf
from gateway.control.domains.facts import PlatformFacts, domain_facts, platform_facts
from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import Purpose, RecordType, RecordView
from gateway.control.keys.pool import pool_records
from gateway.control.settings import ControlSettings
from gateway.control.sources.model import SourceRow


def platform_records(session: Session, settings: ControlSettings) -> tuple[RecordView, ...]:
    """Everything that the operator's zones must have before any tenant's names, in a person's order."""
    platform = platform_facts(session)
    records = [*_host_records(platform, settings)]
    ids = session.scalars(sa.select(DomainRow.id).where(DomainRow.kind == "platform"))
    for facts in domain_facts(session, list(ids)):
        if facts.domain.name != settings.trial_zone:
            records += domain_records(facts, platform, settings)
    records += common_records(platform, settings)
    if settings.trial_selectors:
        records += pool_records(session, settings.trial_zone)
    for source in platform.active:
        records += _source_records(source)
    return tuple(_once(records))


def common_records(platform: PlatformFacts, settings: ControlSettings) -> Iterator[RecordView]:
    """What no single domain is the owner of, and the platform publishes where it can."""
    zone = settings.trial_zone
    if settings.trial_selectors:
        yield _ours(f"*.{zone}", "MX", f"10 {settings.hostname}", "mx")
        yield _ours(f"*.{zone}", "TXT", platform_spf(platform, settings), "spf")
    # psd=y: the names below belong to different organisations.
    value = f"v=DMARC1; p=none; psd=y; rua=mailto:{settings.dmarc_address}"
    yield _ours(f"_dmarc.{zone}", "TXT", value, "dmarc")
    reports = settings.dmarc_address.rpartition("@")[2]
    if reports == settings.hostname:
        # Reports about other domains come only where this says that they are welcome (RFC 7489 §7.1).
        yield _ours(f"*._report._dmarc.{reports}", "TXT", "v=DMARC1", "dmarc")
    yield _ours(settings.policy_host, "CNAME", settings.hostname, "mta-sts", required=False)


def _host_records(platform: PlatformFacts, settings: ControlSettings) -> Iterator[RecordView]:
    host = settings.hostname
    if host not in {source.helo for source in platform.active}:
        for address in settings.addresses:
            yield _address(host, address, "helo")
    note = "Reports and answers to the platform's own mail come to it."
    yield _ours(host, "MX", f"10 {host}", "mx", required=False, note=note)
    yield _ours(host, "TXT", platform_spf(platform, settings), "spf")


def _source_records(source: SourceRow) -> Iterator[RecordView]:
    """A source's name, the way back from each address, and an SPF for the name itself (RFC 7208 §2.3)."""
    for address in filter(None, (source.ipv4, source.ipv6)):
        yield _address(source.helo, address, "helo")
        reverse = ipaddress.ip_address(address).reverse_pointer
        note = "Whoever the address is rented from sets this one."
        yield _ours(reverse, "PTR", source.helo, "helo", note=note)
    yield _ours(source.helo, "TXT", "v=spf1 a -all", "spf", required=False)


def _address(name: str, address: str, purpose: Purpose) -> RecordView:
    return _ours(name, "AAAA" if ":" in address else "A", address, purpose)


def _ours(
    name: str,
    kind: RecordType,
    value: str,
    purpose: Purpose,
    *,
    required: bool = True,
    note: str | None = None,
) -> RecordView:
    return RecordView(name, kind, value, purpose, required=required, publisher="platform", note=note)


def _once(records: list[RecordView]) -> Iterator[RecordView]:
    """Each record once; a name has one SPF."""
    seen: set[tuple[str, str, str]] = set()
    for record in records:
        mark = (record.name, record.type, record.purpose if record.purpose == "spf" else record.value)
        if mark not in seen:
            seen.add(mark)
            yield record
