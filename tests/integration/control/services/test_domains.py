"""Domains: what may be claimed, how it is proved, what is to be published."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.keys.service import KeyService
from gateway.control.services import ControlServices
from gateway.system.dns import DnsAway, NoSuchName
from tests.support.control import OPERATOR, MakeServices, limited


class Zone:
    """A stand-in for DNS: what was published, and names whose servers are away."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.away: set[str] = set()

    def __call__(self, name: str) -> Sequence[str]:
        if name in self.away:
            raise DnsAway(name, "TXT", "timeout")
        if name not in self.texts:
            raise NoSuchName(name)
        return self.texts[name]


@pytest.fixture
def zone() -> Zone:
    return Zone()


@pytest.fixture
def services(control_url: str, make_services: MakeServices, zone: Zone) -> ControlServices:
    services = make_services(control_url, lookup=zone)
    services.bootstrap()
    services.tenants.create(OPERATOR, "acme")
    services.tenants.create(OPERATOR, "globex")
    return services


def _publish(services: ControlServices, zone: Zone, domain: str, *purposes: str) -> None:
    for record in services.domains.records(OPERATOR, domain):
        if record.purpose in purposes:
            zone.texts[record.name] = [record.value]


def test_a_claim_waits_for_proof_and_has_its_key(services: ControlServices) -> None:
    domain = services.domains.add(OPERATOR, "Bücher.Example", tenant="acme", environment="staging")
    assert (domain.name, domain.unicode_name) == ("xn--bcher-kva.example", "bücher.example")
    assert (domain.state, domain.kind, domain.environment) == ("pending", "custom", "staging")
    assert services.domains.show(OPERATOR, "bücher.example") == domain
    assert [key.state for key in services.keys.list(OPERATOR, domain=domain.id)] == ["active"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("co.uk", "public suffix"),
        ("github.io", "public suffix"),
        ("acme", "one label"),
        ("acme.test.", "ends with a dot"),
        ("*.acme.test", "wildcards"),
        ("a b.test", "space"),
        ("bob@acme.test", "address"),
        ("192.0.2.1", "IP address"),
        ("acme.123", "number"),
        (f"{'a' * 64}.test", "64 octets"),
        (".".join(["a" * 60] * 5), "304 octets"),
        ("аcme.test", "look alike"),
        ("аррӏе.com", "only Cyrillic letters that look like Latin ones"),
        ("mail.аррӏе-1.com", "only Cyrillic letters that look like Latin ones"),
        ("xn--80ak6aa92e.com", "only Cyrillic letters that look like Latin ones"),
        ("νονο.test", "only Greek letters"),
        ("սոս.test", "only Armenian letters"),
        ("a_b.test", "letters, digits"),
        ("mail.mx.gatepost.test", "belongs to the platform"),
        ("other.trial.gatepost.test", "belongs to the platform"),
    ],
)
def test_names_that_cannot_be_claimed(services: ControlServices, name: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        services.domains.add(OPERATOR, name, tenant="acme")


def test_records_to_publish(services: ControlServices) -> None:
    services.sources.create(OPERATOR, helo="out1.gatepost.test", ipv4="192.0.2.10", ipv6="2001:db8::10")
    domain = services.domains.add(OPERATOR, "acme.test", tenant="acme", mode="send-receive")
    shard = services.shards.create(OPERATOR, "s1.acme.test", tenant="acme")
    records = {(one.purpose, one.type): one for one in services.domains.records(OPERATOR, "acme.test")}
    assert records["ownership", "TXT"].name == "_gatepost-challenge.acme.test"
    assert records["ownership", "TXT"].value == f"gatepost-verification={domain.challenge}"
    assert records["dkim", "TXT"].value.startswith("v=DKIM1; k=rsa; p=MII")
    assert records["mx", "MX"].value == "10 mx.gatepost.test"
    assert records["dmarc", "TXT"].required is False
    target = f"{shard.id.replace('-', '')}.shards.mx.gatepost.test"
    assert (records["return-path", "CNAME"].name, records["return-path", "CNAME"].value) == (
        shard.name,
        target,
    )
    assert records["spf", "TXT"].value == "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all"
    assert {one.state for one in records.values()} == {"unchecked"}
    assert {one.publisher for one in services.domains.records(OPERATOR, "acme.trial.gatepost.test")} == {
        "platform"
    }


def test_dns_proves_a_domain(services: ControlServices, zone: Zone) -> None:
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    nothing = services.domains.verify(OPERATOR, "acme.test")
    assert nothing.domain.state == "pending"
    assert {one.purpose: one.state for one in nothing.records} == {
        "ownership": "missing",
        "dkim": "missing",
        "dmarc": "missing",
    }
    _publish(services, zone, "acme.test", "ownership")
    assert services.domains.verify(OPERATOR, "acme.test").domain.state == "verifying"
    _publish(services, zone, "acme.test", "dkim")
    proved = services.domains.verify(OPERATOR, "acme.test").domain
    assert (proved.state, proved.verified_by) == ("active", "dns")
    assert proved.verified_at is not None


def test_wrong_and_unreachable_records(services: ControlServices, zone: Zone) -> None:
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    _publish(services, zone, "acme.test", "dkim")
    zone.texts["_gatepost-challenge.acme.test"] = ["gatepost-verification=somebody-elses"]
    (key,) = services.keys.list(OPERATOR, domain="acme.test")
    zone.away.add(key.name)
    check = services.domains.verify(OPERATOR, "acme.test")
    states = {one.purpose: one.state for one in check.records}
    assert (states["ownership"], states["dkim"], check.domain.state) == ("invalid", "unreachable", "pending")
    assert next(one for one in check.records if one.purpose == "ownership").found == (
        "gatepost-verification=somebody-elses",
    )


def test_a_key_record_may_be_written_in_other_ways(services: ControlServices, zone: Zone) -> None:
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    (key,) = services.keys.list(OPERATOR, domain="acme.test")
    _publish(services, zone, "acme.test", "ownership")
    p = key.record_value.partition("p=")[2]
    zone.texts[key.name] = [f"p={p[:100]} {p[100:]} ; t=s"]
    assert services.domains.verify(OPERATOR, "acme.test").domain.state == "active"


def test_an_active_domain_is_only_reported_on(services: ControlServices, zone: Zone) -> None:
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    services.domains.mark_verified(OPERATOR, "acme.test", "a test")
    assert services.domains.verify(OPERATOR, "acme.test").domain.state == "active"


def test_the_operators_word_with_a_reason(services: ControlServices) -> None:
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    with pytest.raises(Invalid, match="reason"):
        services.domains.mark_verified(OPERATOR, "acme.test", "  ")
    assert services.domains.mark_verified(OPERATOR, "acme.test", "owner phoned").state == "active"
    with pytest.raises(Conflict):
        services.domains.mark_verified(OPERATOR, "acme.test", "again")
    entry = services.audit.list(OPERATOR, operation="domain.mark-verified")[0]
    assert (entry.before["state"], entry.after["state"], entry.after["reason"]) == (
        "pending",
        "active",
        "owner phoned",
    )


def test_no_tenants_caller_stands_for_dns(services: ControlServices) -> None:
    mine = services.domains.add(OPERATOR, "bigbank.example", tenant="acme")
    with pytest.raises(Forbidden, match="has to be proved"):
        services.domains.mark_verified(limited(mine.tenant_id), mine.id, "trust me")
    assert services.domains.show(OPERATOR, mine.id).state == "pending"


def test_many_may_claim_one_may_hold(services: ControlServices) -> None:
    mine = services.domains.add(OPERATOR, "acme.test", tenant="acme")
    theirs = services.domains.add(OPERATOR, "acme.test", tenant="globex")
    with pytest.raises(Conflict, match="id"):
        services.domains.show(OPERATOR, "acme.test")
    services.domains.mark_verified(OPERATOR, mine.id, "a test")
    assert services.domains.show(OPERATOR, "acme.test").id == mine.id
    with pytest.raises(Conflict, match="held by another tenant"):
        services.domains.mark_verified(OPERATOR, theirs.id, "a test")
    selectors = [key.selector for key in services.keys.list(OPERATOR) if key.domain == "acme.test"]
    assert len(set(selectors)) == 2
    with pytest.raises(Conflict, match="lies under acme"):
        services.domains.add(OPERATOR, "mail.acme.test", tenant="globex")
    with pytest.raises(Conflict, match="share no domain"):
        services.domains.add(OPERATOR, "acme.test", tenant="acme", environment="staging")


def test_another_tenants_domain_is_as_if_not_there(services: ControlServices) -> None:
    foreign = services.domains.add(OPERATOR, "globex.test", tenant="globex")
    caller = limited(services.tenants.show(OPERATOR, "acme").id)
    for call in (
        lambda: services.domains.show(caller, "globex.test"),
        lambda: services.domains.records(caller, foreign.id),
        lambda: services.domains.verify(caller, foreign.id),
        lambda: services.domains.mark_verified(caller, foreign.id, "mine now"),
        lambda: services.domains.add(caller, "x.test", tenant="globex"),
        lambda: services.keys.create(caller, foreign.id),
        lambda: services.keys.list(caller, domain="globex.test"),
    ):
        with pytest.raises(NotFound):
            call()
    assert all(one.name != "globex.test" for one in services.domains.list(caller))
    assert services.domains.show(OPERATOR, foreign.id) == foreign


def test_filters(services: ControlServices) -> None:
    services.domains.add(OPERATOR, "acme.test", tenant="acme", environment="staging")
    names = [one.name for one in services.domains.list(OPERATOR, tenant="acme")]
    assert names == ["acme.test", "acme.trial.gatepost.test"]
    assert [one.name for one in services.domains.list(OPERATOR, environment="staging")] == ["acme.test"]
    assert [one.name for one in services.domains.list(OPERATOR, state="pending")] == ["acme.test"]
    with pytest.raises(Invalid):
        services.domains.list(OPERATOR, state="fine")


def test_what_is_refused_costs_no_key(services: ControlServices, monkeypatch: pytest.MonkeyPatch) -> None:
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    monkeypatch.setattr(KeyService, "make", lambda *_: pytest.fail("a key was made"))
    with pytest.raises(Conflict, match=r"has acme\.test already"):
        services.domains.add(OPERATOR, "acme.test", tenant="acme")
    with pytest.raises(Conflict, match="already"):
        services.domains.add_trial(OPERATOR, tenant="acme")


def test_a_claim_that_ended_does_not_stand_in_the_way_of_its_name(services: ControlServices) -> None:
    ended = services.domains.add(OPERATOR, "both.test", tenant="globex")
    living = services.domains.add(OPERATOR, "both.test", tenant="acme")
    with pytest.raises(Conflict, match="2 tenants claim"):
        services.domains.show(OPERATOR, "both.test")
    services.deletion.delete_domain(OPERATOR, ended.id)
    assert services.domains.show(OPERATOR, "both.test").id == living.id
    services.deletion.delete_domain(OPERATOR, living.id)
    assert services.domains.show(OPERATOR, ended.id).id == ended.id
