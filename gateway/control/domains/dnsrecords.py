"""The DNS records that a domain and its shards need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from gateway.control.domains.facts import DomainFacts, PlatformFacts, facts_of, platform_facts
from gateway.control.domains.keyrecords import key_records
from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import RecordView
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.shards.route import parse_route
from gateway.control.shards.spf import spf_terms
from gateway.control.sources.model import SourceRow

CHALLENGE_LABEL = "_gatepost-challenge"
_CHALLENGE_PREFIX = "gatepost-verification="


def records_of(session: Session, domain: DomainRow, settings: ControlSettings) -> tuple[RecordView, ...]:
    """What is to be published for a domain, in the order in which a person would."""
    return domain_records(facts_of(session, domain), platform_facts(session), settings)


def domain_records(
    facts: DomainFacts, platform: PlatformFacts, settings: ControlSettings
) -> tuple[RecordView, ...]:
    """As `records_of`, from what was read before."""
    domain = facts.domain
    if domain.kind == "custom":
        records = [*_ownership(domain), *_receiving(domain, settings)]
    else:
        records = _mx(domain, settings)
    records += key_records(domain, facts.keys, facts.slots, settings)
    records += [] if in_fixed_set(domain, settings) else [dmarc_record(domain, settings)]
    for shard in facts.shards:
        records += shard_records(shard, domain, platform, settings)
    if domain.kind == "custom":
        return tuple(records)
    return tuple(replace(record, publisher="platform") for record in records)


def in_fixed_set(domain: DomainRow, settings: ControlSettings) -> bool:
    """Whether a domain lives from what stands under the trial zone for all its names, or is that zone."""
    return settings.trial_selectors > 0 and (domain.kind == "trial" or domain.name == settings.trial_zone)


def ownership_record(domain: DomainRow) -> RecordView:
    """The record that proves who has the domain."""
    return RecordView(
        f"{CHALLENGE_LABEL}.{domain.name}", "TXT", _CHALLENGE_PREFIX + domain.challenge, "ownership"
    )


def shard_records(
    shard: ShardRow, domain: DomainRow | None, platform: PlatformFacts, settings: ControlSettings
) -> list[RecordView]:
    """A shard's return path: an MX and an SPF for its sources alone.

    They stand at the shard's name where that is the platform's, else at a platform name to which the owner's
    one alias leads.
    """
    if domain is not None and domain.kind != "custom":
        fixed = in_fixed_set(domain, settings)
        spf = platform_spf(platform, settings) if fixed else _shard_spf(shard, platform, settings)
        return _return_path(shard.name, spf, settings, _smarthost_note(shard))
    target = f"{shard.id.replace('-', '')}.shards.{settings.hostname}"
    alias = RecordView(shard.name, "CNAME", target, "return-path")
    spf = _shard_spf(shard, platform, settings)
    return [alias, *_return_path(target, spf, settings, _smarthost_note(shard))]


def dmarc_record(domain: DomainRow, settings: ControlSettings) -> RecordView:
    """Reports and no more: the owner knows best what else sends for the domain."""
    note = (
        f"Any DMARC record that is there will do: never replace it. To have its reports here too, add "
        f"mailto:{settings.dmarc_address} to its rua."
    )
    value = f"v=DMARC1; p=none; rua=mailto:{settings.dmarc_address}"
    return RecordView(f"_dmarc.{domain.name}", "TXT", value, "dmarc", required=False, note=note)


def platform_spf(platform: PlatformFacts, settings: ControlSettings) -> str:
    """The SPF of what is sent for the platform itself: from all its addresses, or through its smarthost."""
    route, _ = parse_route(settings.default_route)
    return _spf_text([*_address_terms(platform.active, settings), *spf_terms(route)])


def _shard_spf(shard: ShardRow, platform: PlatformFacts, settings: ControlSettings) -> str:
    """An SPF that names the shard's address, or the smarthost that its mail leaves through, and no other."""
    route, _ = parse_route(shard.route)
    source = platform.sources.get(shard.source_id or "")
    own = _address_terms([source] if source is not None else [], settings)
    return _spf_text(spf_terms(route) or own)


def _smarthost_note(shard: ShardRow) -> str | None:
    route, _ = parse_route(shard.route)
    if route.spf or not spf_terms(route):
        return None
    return (
        f"Mail of {shard.name} leaves through {route.host}. If that sends on from other addresses, name what "
        "its provider says in the route: ?spf=include:…"
    )


def _address_terms(sources: Sequence[SourceRow], settings: ControlSettings) -> list[str]:
    terms = [f"ip4:{source.ipv4}" for source in sources if source.ipv4]
    terms += [f"ip6:{source.ipv6}" for source in sources if source.ipv6]
    # Without source addresses the system chooses one: those of our own name.
    return terms or [f"a:{settings.hostname}"]


def _spf_text(terms: Sequence[str]) -> str:
    return " ".join(["v=spf1", *terms, "-all"])


def policy_id(settings: ControlSettings) -> str:
    """The id of the MTA-STS policy: another one when the host names in it are others (RFC 8461 §3.1)."""
    return hashlib.sha256(f"{settings.policy_host} {settings.hostname}".encode()).hexdigest()[:20]


def _ownership(domain: DomainRow) -> list[RecordView]:
    return [ownership_record(domain)]


def _mx(domain: DomainRow, settings: ControlSettings) -> list[RecordView]:
    if domain.mode != "send-receive":
        return []
    return [RecordView(domain.name, "MX", f"10 {settings.hostname}", "mx")]


def _receiving(domain: DomainRow, settings: ControlSettings) -> Iterator[RecordView]:
    """What a customer's domain needs to receive, and what guards the way to it."""
    for record in _mx(domain, settings):
        yield replace(
            record,
            note=(
                f"Only if mail for {domain.name} is to arrive here. An MX of another mail system is never to "
                f"be replaced: leave it, and add a sub-domain such as mail.{domain.name} instead."
            ),
        )
        policy = f"Once {record.name} has this MX: senders then insist on TLS, by the policy at this host."
        yield RecordView(
            f"mta-sts.{domain.name}", "CNAME", settings.policy_host, "mta-sts", required=False, note=policy
        )
        yield RecordView(
            f"_mta-sts.{domain.name}",
            "TXT",
            f"v=STSv1; id={policy_id(settings)}",
            "mta-sts",
            required=False,
            note=f"Only after https://mta-sts.{domain.name}/.well-known/mta-sts.txt can be fetched.",
        )
        value = f"v=TLSRPTv1; rua=mailto:{settings.tls_address}"
        yield RecordView(f"_smtp._tls.{domain.name}", "TXT", value, "tls-rpt", required=False)


def _return_path(name: str, spf: str, settings: ControlSettings, note: str | None) -> list[RecordView]:
    return [
        RecordView(name, "MX", f"10 {settings.hostname}", "return-path", publisher="platform"),
        RecordView(name, "TXT", spf, "spf", publisher="platform", note=note),
    ]
