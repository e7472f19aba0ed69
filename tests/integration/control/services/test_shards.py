"""Shards and source addresses: places, routes, states, who sends from where."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.records import ShardRecord
from gateway.control.services import ControlServices
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.shards.route import Credentials, open_credentials
from tests.support.control import MASTER_KEY, OPERATOR, SETTINGS, MakeServices, limited


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    for name in ("acme", "globex"):
        control_services.tenants.create(OPERATOR, name)
        control_services.domains.add(OPERATOR, f"{name}.test", tenant=name)
        control_services.domains.mark_verified(OPERATOR, f"{name}.test", "a test")
    return control_services


def test_a_shard(services: ControlServices) -> None:
    shard = services.shards.create(
        OPERATOR, "S1.Acme.Test", tenant="acme", route="smtp://relay.test", streams=["marketing"], weight=3
    )
    assert (shard.name, shard.domain, shard.route) == ("s1.acme.test", "acme.test", "smtp://relay.test:25")
    assert (shard.streams, shard.weight, shard.state, shard.sign) == (("marketing",), 3, "active", False)
    with pytest.raises(Conflict, match="already"):
        services.shards.create(OPERATOR, "s1.acme.test", tenant="acme")


def test_its_place_must_be_the_tenants(services: ControlServices) -> None:
    for name in ("s1.globex.test", "globex.test", "s1.globex.trial.gatepost.test", "s1.mx.gatepost.test"):
        with pytest.raises(Conflict, match="does not lie under"):
            services.shards.create(OPERATOR, name, tenant="acme")
    with pytest.raises(Conflict, match="never mix"):
        services.shards.create(OPERATOR, "test.acme.test", tenant="acme", environment="staging")
    assert services.shards.create(OPERATOR, "mail.elsewhere.test", tenant="acme").domain is None


def test_states(services: ControlServices) -> None:
    services.shards.create(OPERATOR, "s1.acme.test", tenant="acme")
    assert services.shards.pause(OPERATOR, "s1.acme.test").state == "paused"
    with pytest.raises(Conflict):
        services.shards.pause(OPERATOR, "s1.acme.test")
    assert services.shards.resume(OPERATOR, "s1.acme.test").state == "active"
    assert services.shards.retire(OPERATOR, "s1.acme.test").state == "retired"
    with pytest.raises(Conflict):
        services.shards.resume(OPERATOR, "s1.acme.test")


def test_credentials_of_a_route_are_sealed_and_never_shown(services: ControlServices) -> None:
    made = services.shards.create(
        OPERATOR, "s1.acme.test", tenant="acme", route="smtps://user%40x:p%3Ass-w0rd@relay.test"
    )
    assert (made.route, made.has_credentials) == ("smtps://relay.test:465", True)
    with services.writes.view() as session:
        row = session.get_one(ShardRow, made.id)
        everything = [
            str(value)
            for table in ShardRow.metadata.sorted_tables
            for found in session.execute(sa.select(table))
            for value in found
        ]
    assert not any("p:ss-w0rd" in text or "p%3Ass" in text or "user@x" in text for text in everything)
    record = ShardRecord(
        id=row.id,
        name=row.name,
        tenant_id=row.tenant_id,
        environment="production",
        route=row.route,
        weight=1,
        streams=frozenset(),
        state="active",
        source=None,
        sign=False,
        created_at=0.0,
        route_credentials=row.route_sealed,
    )
    credentials = open_credentials(MASTER_KEY.sealer("route"), record)
    assert credentials == Credentials("user@x", "p:ss-w0rd")
    assert "ss-w0rd" not in repr(credentials)
    assert services.shards.route(OPERATOR, "s1.acme.test", "mx").has_credentials is False


def test_test_mail_never_leaves_unless_the_operator_lists_who_may_get_it(
    services: ControlServices, control_url: str, make_services: MakeServices
) -> None:
    services.shards.create(OPERATOR, "test.elsewhere.test", tenant="acme", environment="staging")
    for route in ("mx", "smtp://relay.test"):
        with pytest.raises(Forbidden, match="never leaves"):
            services.shards.route(OPERATOR, "test.elsewhere.test", route)
    assert services.shards.route(OPERATOR, "test.elsewhere.test", "capture:/x").route == "capture:/x"
    allowing = ControlSettings(hostname=SETTINGS.hostname, trial_zone=SETTINGS.trial_zone, may_leave=True)
    assert (
        make_services(control_url, settings=allowing)
        .shards.route(OPERATOR, "test.elsewhere.test", "mx")
        .route
        == "mx"
    )


def test_a_shard_that_signs_has_one_key_that_waits_for_its_record(services: ControlServices) -> None:
    shard = services.shards.create(OPERATOR, "s1.acme.test", tenant="acme", sign=True)
    keys = [key for key in services.keys.list(OPERATOR) if key.domain == "s1.acme.test"]
    assert shard.sign
    assert [key.state for key in keys] == ["pending"]
    assert services.shards.update(OPERATOR, shard.id, sign=False).sign is False
    services.shards.update(OPERATOR, shard.id, sign=True)
    states = [key.state for key in services.keys.list(OPERATOR) if key.domain == "s1.acme.test"]
    assert states == ["pending"]
    [record] = [one for one in services.domains.records(OPERATOR, "acme.test") if one.name == keys[0].name]
    assert (record.required, record.publisher) == (False, "customer")


def test_the_spf_of_a_shard_names_the_smarthost_that_its_mail_leaves_through(
    services: ControlServices,
) -> None:
    services.sources.create(OPERATOR, helo="one.gatepost.test", ipv4="192.0.2.1")
    shard = services.shards.create(OPERATOR, "s1.acme.test", tenant="acme")

    def spf() -> tuple[str, str | None]:
        records = services.domains.records(OPERATOR, "acme.test")
        [found] = [one for one in records if one.purpose == "spf"]
        return found.value, found.note

    assert spf() == ("v=spf1 ip4:192.0.2.1 -all", None)
    services.shards.route(OPERATOR, shard.id, "smtp://relay.test:587")
    text, note = spf()
    assert (text, "leaves through relay.test" in (note or "")) == ("v=spf1 a:relay.test -all", True)
    services.shards.route(
        OPERATOR, shard.id, "smtps://u:p@relay.test?spf=include:spf.relay.test,ip6:2001:db8::/32"
    )
    assert spf() == ("v=spf1 include:spf.relay.test ip6:2001:db8::/32 -all", None)
    services.shards.route(OPERATOR, shard.id, "mx")
    assert spf()[0] == "v=spf1 ip4:192.0.2.1 -all"


def test_updating(services: ControlServices) -> None:
    services.shards.create(OPERATOR, "s1.acme.test", tenant="acme")
    changed = services.shards.update(OPERATOR, "s1.acme.test", weight=7, streams=["b", "a", "b"])
    assert (changed.weight, changed.streams) == (7, ("a", "b"))
    for bad in ({"weight": 0}, {"weight": 1001}, {"streams": ["A B"]}):
        with pytest.raises(Invalid):
            services.shards.update(OPERATOR, "s1.acme.test", **bad)  # type: ignore[arg-type]


def test_sources_are_taken_by_rule(services: ControlServices) -> None:
    services.sources.create(OPERATOR, helo="one.gatepost.test", ipv4="192.0.2.1")
    services.sources.create(OPERATOR, helo="two.gatepost.test", ipv4="192.0.2.2")
    services.sources.create(OPERATOR, helo="vip.gatepost.test", ipv6="2001:DB8::1", plans=["enterprise"])
    taken = [services.shards.create(OPERATOR, f"s{n}.acme.test", tenant="acme").source for n in range(4)]
    assert taken == ["one.gatepost.test", "two.gatepost.test", "one.gatepost.test", "two.gatepost.test"]
    retired = services.sources.retire(OPERATOR, "one.gatepost.test")
    assert (retired.state, retired.shards) == ("retired", 0)
    assert {one.source for one in services.shards.list(OPERATOR, tenant="acme") if one.source} == {
        "two.gatepost.test"
    }
    assert services.sources.show(OPERATOR, "vip.gatepost.test").ipv6 == "2001:db8::1"


@pytest.mark.parametrize(
    "option",
    [{}, {"ipv4": "2001:db8::1"}, {"ipv4": "300.1.1.1"}, {"ipv6": "::"}, {"ipv4": "224.0.0.1"}],
)
def test_addresses_that_cannot_be_sources(services: ControlServices, option: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        services.sources.create(OPERATOR, helo="one.gatepost.test", **option)


def test_a_source_is_named_once(services: ControlServices) -> None:
    services.sources.create(OPERATOR, helo="one.gatepost.test", ipv4="192.0.2.1")
    with pytest.raises(Conflict):
        services.sources.create(OPERATOR, helo="one.gatepost.test", ipv4="192.0.2.9")
    with pytest.raises(Conflict):
        services.sources.create(OPERATOR, helo="two.gatepost.test", ipv4="192.0.2.1")


def test_a_limited_caller_finds_only_its_own(services: ControlServices) -> None:
    services.sources.create(OPERATOR, helo="one.gatepost.test", ipv4="192.0.2.1")
    foreign = services.shards.create(OPERATOR, "s1.globex.test", tenant="globex")
    caller = limited(services.tenants.show(OPERATOR, "acme").id)
    assert all(one.tenant_id == caller.tenant_id for one in services.shards.list(caller))
    assert services.sources.list(caller) == ()
    for call in (
        lambda: services.shards.show(caller, foreign.name),
        lambda: services.shards.pause(caller, foreign.id),
        lambda: services.shards.route(caller, foreign.id, "mx"),
        lambda: services.shards.create(caller, "x.test.example", tenant="globex"),
        lambda: services.sources.show(caller, "one.gatepost.test"),
        lambda: services.sources.create(caller, helo="mine.test", ipv4="192.0.2.8"),
    ):
        with pytest.raises(NotFound):
            call()
    assert services.shards.show(OPERATOR, foreign.id) == foreign


def test_a_tenants_caller_makes_shards_under_its_own_domains_alone(services: ControlServices) -> None:
    acme = services.tenants.show(OPERATOR, "acme").id
    services.shards.create(OPERATOR, "s1.globex.test", tenant="globex")
    texts = set()
    for name in (
        "mail.elsewhere.test",
        "s1.globex.test",
        "s9.globex.test",
        "s1.mail.nobody.trial.gatepost.test",
    ):
        with pytest.raises(Conflict) as caught:
            services.shards.create(limited(acme), name, tenant=acme)
        texts.add((caught.value.code, str(caught.value).replace(name, "NAME")))
    # Whether somebody has the name, or the domain, is not to be learnt.
    assert len(texts) == 1
    assert services.shards.create(limited(acme), "s1.acme.test", tenant=acme).domain == "acme.test"


@pytest.mark.parametrize(
    "route", ["mx", "smtp://127.0.0.1:25", "smtps://u:p@relay.test", "local:", "capture:/x"]
)
def test_a_tenants_caller_leaves_routes_to_the_operator(services: ControlServices, route: str) -> None:
    acme = services.tenants.show(OPERATOR, "acme").id
    made = services.shards.create(limited(acme), "s1.acme.test", tenant=acme)
    with pytest.raises(Forbidden, match="the operator's to choose"):
        services.shards.create(limited(acme), "s2.acme.test", tenant=acme, route=route)
    with pytest.raises(Forbidden, match="the operator's to choose"):
        services.shards.route(limited(acme), made.id, route)
    with pytest.raises(Forbidden, match="the operator's to choose"):
        services.shards.update(limited(acme), made.id, route=route)
    assert services.shards.show(OPERATOR, made.id).route == made.route
    assert services.shards.route(limited(acme), made.id, "capture:").route == "capture:"


def test_what_the_operator_paused_only_the_operator_resumes(services: ControlServices) -> None:
    acme = limited(services.tenants.show(OPERATOR, "acme").id)
    services.shards.create(OPERATOR, "s1.acme.test", tenant="acme")
    services.shards.pause(OPERATOR, "s1.acme.test")
    with pytest.raises(Forbidden, match="operator has paused"):
        services.shards.resume(acme, "s1.acme.test")
    assert services.shards.resume(OPERATOR, "s1.acme.test").state == "active"
    services.shards.pause(acme, "s1.acme.test")
    assert services.shards.resume(acme, "s1.acme.test").state == "active"


def test_who_proves_a_name_finds_no_shard_of_others_there(services: ControlServices) -> None:
    services.domains.add(OPERATOR, "contested.test", tenant="acme")
    claim = services.domains.add(OPERATOR, "contested.test", tenant="globex")
    squat = services.shards.create(OPERATOR, "s1.contested.test", tenant="acme", sign=True)
    deeper = services.shards.create(OPERATOR, "s1.mail.contested.test", tenant="acme")
    beside = services.shards.create(OPERATOR, "s1.uncontested.test", tenant="acme")
    services.domains.mark_verified(OPERATOR, claim.id, "a test")
    for lost in (squat, deeper):
        now = services.shards.show(OPERATOR, lost.id)
        assert (now.state, now.name) == ("retired", f"{lost.id}.released.invalid")
    assert services.shards.show(OPERATOR, beside.id).name == "s1.uncontested.test"
    keys = [key.state for key in services.keys.list(OPERATOR) if key.domain == "s1.contested.test"]
    assert keys == ["revoked"]
    made = services.shards.create(OPERATOR, "s1.contested.test", tenant="globex")
    assert made.domain == "contested.test"
    assert "shard.release" in {one.operation for one in services.audit.list(OPERATOR, tenant="acme")}
