"""Names of the platform in a real zone: put there, mended, taken back, and never over somebody else's."""

from __future__ import annotations

import pytest

from gateway.control.errors import Forbidden, Unavailable
from gateway.control.services import ControlServices
from gateway.system.database import Database
from tests.integration.control.publishing.conftest import PUBLISHING, Publishing, channel, publishing_over
from tests.support.control import OPERATOR, MakeServices, limited
from tests.support.nameservers import CUSTOMER_ZONES, Authority, running_authority
from tests.support.peers import RequirePeer

TRIAL = "acme.trial.gatepost.test"


def _key(services: ControlServices, domain: str, state: str = "active") -> str:
    [key] = [one for one in services.keys.list(OPERATOR, domain=domain) if one.state == state]
    return key.name


def test_a_trial_names_records_are_there_after_a_step(publishing: Publishing) -> None:
    publishing.work.step()
    services, zones = publishing.services, publishing.zones
    [shard] = services.shards.list(OPERATOR, tenant="acme")
    assert zones.ask(shard.name, "MX") == ["10 mx.gatepost.test."]
    assert zones.ask(shard.name, "TXT") == ['"v=spf1 a:mx.gatepost.test -all"']
    assert zones.ask(_key(services, TRIAL), "TXT")[0].startswith('"v=DKIM1; k=rsa; p=')
    assert zones.ask("_dmarc.trial.gatepost.test", "TXT") == [
        '"v=DMARC1; p=none; psd=y; rua=mailto:dmarc@mx.gatepost.test"'
    ]
    assert zones.ask(f"_dmarc.{TRIAL}", "TXT") == ['"v=DMARC1; p=none; rua=mailto:dmarc@mx.gatepost.test"']
    assert publishing.service.pending(OPERATOR) == ()


def test_a_change_is_published_and_what_goes_is_taken_back(publishing: Publishing) -> None:
    services, zones = publishing.services, publishing.zones
    publishing.work.step()
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    shard = services.shards.create(OPERATOR, "s1.acme.test", tenant="acme")
    target = f"{shard.id.replace('-', '')}.shards.mx.gatepost.test"
    publishing.work.step()
    assert zones.ask(target, "MX") == ["10 mx.gatepost.test."]
    services.sources.create(OPERATOR, helo="out1.gatepost.test", ipv4="192.0.2.10")
    services.shards.update(OPERATOR, shard.id, pool="default")
    publishing.work.step()
    assert zones.ask(target, "TXT") == ['"v=spf1 ip4:192.0.2.10 -all"']
    with services.writes.change(OPERATOR) as change:
        change.session.connection().exec_driver_sql(
            "UPDATE shards SET state = 'retired', updated_at = 1 WHERE name = 's1.acme.test'"
        )
        change.changed("shard", shard.id)
    publishing.work.step()
    assert zones.ask(target, "MX") == zones.ask(target, "TXT") == []


def test_somebody_elses_record_is_left_alone_and_named(publishing: Publishing) -> None:
    zones = publishing.zones
    zones.put("mta-sts.mx.gatepost.test", "A", "192.0.2.80")
    zones.put("_dmarc.mx.gatepost.test", "TXT", "v=DMARC1; p=reject")
    publishing.work.step()
    assert zones.ask("_dmarc.mx.gatepost.test", "TXT") == ['"v=DMARC1; p=reject"']
    assert zones.ask("mta-sts.mx.gatepost.test", "CNAME") == []
    waiting = {one.name: one for one in publishing.service.pending(OPERATOR)}
    assert set(waiting) == {"mta-sts.mx.gatepost.test", "_dmarc.mx.gatepost.test"}
    assert "p=reject" in (waiting["_dmarc.mx.gatepost.test"].error or "")
    assert waiting["mta-sts.mx.gatepost.test"].attempts == 1
    assert zones.ask(_key(publishing.services, TRIAL), "TXT")


def test_reconciling_mends_what_was_changed_and_takes_away_strays(publishing: Publishing) -> None:
    zones, service = publishing.zones, publishing.service
    publishing.work.step()
    key = _key(publishing.services, TRIAL)
    [shard] = publishing.services.shards.list(OPERATOR, tenant="acme")
    zones.put(key, "TXT", "v=DKIM1; p=forged")
    zones.put(shard.name, "MX")
    zones.put("gone.shards.mx.gatepost.test", "MX", "10 mx.gatepost.test.")
    zones.put("www.gatepost.test", "A", "192.0.2.1")
    planned = service.reconcile(OPERATOR, dry_run=True)
    assert {(one.name, one.type, one.action) for one in planned} == {
        (key, "TXT", "put"),
        (shard.name, "MX", "put"),
        ("gone.shards.mx.gatepost.test", "MX", "withdraw"),
    }
    assert next(one for one in planned if one.name == key).found == ("v=DKIM1; p=forged",)
    assert zones.ask(key, "TXT") == ['"v=DKIM1; p=forged"']
    assert [one.error for one in service.reconcile(OPERATOR)] == [None] * 3
    assert zones.ask(key, "TXT")[0].startswith('"v=DKIM1; k=rsa; p=M')
    assert zones.ask(shard.name, "MX")
    assert zones.ask("gone.shards.mx.gatepost.test", "MX") == []
    assert zones.ask("www.gatepost.test", "A") == ["192.0.2.1"]
    assert service.reconcile(OPERATOR) == ()


def test_reconciling_leaves_what_dnssec_and_the_operator_have_below_our_names(
    control_url: str, location_database: Database, make_services: MakeServices, require_peer: RequirePeer
) -> None:
    services = make_services(control_url, settings=PUBLISHING)
    services.bootstrap()
    services.tenants.create(OPERATOR, "acme")
    services.shards.create(OPERATOR, "s1.elsewhere.test", tenant="acme")
    with running_authority(require_peer, *CUSTOMER_ZONES, signed=["gatepost.test"]) as zones:
        publishing = publishing_over(services, location_database, zones)
        publishing.work.step()
        zones.put("odd.shards.mx.gatepost.test", "A", "192.0.2.1")
        zones.put("gone.shards.mx.gatepost.test", "TXT", "v=spf1 -all")
        names = {(one.name, one.type) for one in publishing.service.reconcile(OPERATOR)}
        assert names == {("gone.shards.mx.gatepost.test", "TXT")}
        assert publishing.service.reconcile(OPERATOR) == ()
        assert zones.ask("odd.shards.mx.gatepost.test", "A") == ["192.0.2.1"]
        assert zones.ask("odd.shards.mx.gatepost.test", "NSEC")


def test_a_trial_names_shard_that_retired_keeps_its_names_for_a_fortnight(publishing: Publishing) -> None:
    services, zones = publishing.services, publishing.zones
    [shard] = services.shards.list(OPERATOR, tenant="acme")
    services.shards.update(OPERATOR, shard.id, sign=True)
    publishing.work.step()
    services.shards.retire(OPERATOR, shard.id)
    publishing.work.step()
    # What it has queued still leaves, with its signature.
    [key] = [one.name for one in services.keys.list(OPERATOR) if one.domain == shard.name]
    assert zones.ask(key, "TXT")[0].startswith('"v=DKIM1; k=rsa; p=M')
    assert zones.ask(shard.name, "MX") == ["10 mx.gatepost.test."]
    assert zones.ask(shard.name, "TXT") == ['"v=spf1 a:mx.gatepost.test -all"']
    services.writes.clock.advance(15 * 86_400.0)  # type: ignore[attr-defined]
    assert publishing.service.reconcile(OPERATOR)
    assert zones.ask(shard.name, "MX") == zones.ask(shard.name, "TXT") == zones.ask(key, "TXT") == []


def test_a_server_that_is_away_is_tried_again(publishing: Publishing) -> None:
    zones = publishing.zones
    zones.stop()
    publishing.work.step_safely()
    publishing.work.step_safely()
    waiting = publishing.service.pending(OPERATOR)
    assert waiting
    assert all("cannot be asked" in (one.error or "") for one in waiting)
    assert all(one.next_attempt_at is not None for one in waiting)
    with pytest.raises(Unavailable, match="cannot be compared"):
        publishing.service.reconcile(OPERATOR)
    zones.start()
    publishing.service.reconcile(OPERATOR)
    assert publishing.service.pending(OPERATOR) == ()


def test_a_crash_between_update_and_note_leaves_nothing_foreign(
    publishing: Publishing, location_database: Database
) -> None:
    publishing.work.step()
    with location_database.write() as connection:
        connection.exec_driver_sql("UPDATE published_record SET published = NULL")
    publishing.services.sources.create(OPERATOR, helo="out1.gatepost.test", ipv4="192.0.2.10")
    again = publishing_over(publishing.services, location_database, publishing.zones)
    again.service.publish()
    assert again.service.pending(OPERATOR) == ()


def test_a_wrong_secret_is_said_and_never_shown(publishing: Publishing) -> None:
    wrong = "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc="
    publishing.service.channel = channel(publishing.zones, wrong)
    [outcome, *_] = publishing.service.publish()
    assert outcome.error is not None
    assert "TSIG" in outcome.error
    assert wrong not in outcome.error


def test_publishing_is_the_operators(publishing: Publishing) -> None:
    caller = limited(publishing.services.tenants.show(OPERATOR, "acme").id)
    with pytest.raises(Forbidden):
        publishing.service.pending(caller)
    with pytest.raises(Forbidden):
        publishing.service.reconcile(caller)


def test_many_changes_go_in_several_updates(publishing: Publishing, zones: Authority) -> None:
    for number in range(70):
        publishing.services.shards.create(OPERATOR, f"s{number}.elsewhere.test", tenant="acme")
    zones.put("_dmarc.mx.gatepost.test", "TXT", "v=DMARC1; p=reject")
    outcomes = publishing.service.publish()
    assert len(outcomes) > 140
    assert [one.change.key.name for one in outcomes if one.error] == ["_dmarc.mx.gatepost.test"]
