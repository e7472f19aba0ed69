"""Publishing by a program: it gets the changes, its status counts, and it cannot hold anybody up."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gateway.control.domains.publishing.command import ByHand, CommandChannel
from gateway.control.domains.publishing.opening import open_channel
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.control.domains.publishing.service import PublishingService
from gateway.control.domains.publishing.values import Change, RecordKey
from gateway.system.config import PublishingConfig
from gateway.system.database import Database
from tests.integration.control.publishing.conftest import PUBLISHING
from tests.support.control import OPERATOR, MakeServices
from tests.support.nameservers import Authority

CHANGES = [
    Change(RecordKey("s.gatepost.test", "TXT"), "d", None, None, ('v=spf1 "x" -all',)),
    Change(RecordKey("old.gatepost.test", "MX"), "d", None, ("10 mx.gatepost.test",), None),
]


def channel(folder: Path, body: str, timeout: float = 20.0) -> CommandChannel:
    """A program whose names are the gateway's alone: nothing is looked up."""
    return CommandChannel(
        program(folder, body), timeout, 300, ResolverLook([("127.0.0.1", 9)]), ["gatepost.test"]
    )


def program(folder: Path, body: str) -> Path:
    script = folder / "publish"
    script.write_text(f"#!{sys.executable}\nimport sys, os, time\n{body}\n")
    script.chmod(0o700)
    return script


def test_it_gets_the_changes_as_json_withdrawals_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEPOST_KEY", "a secret")
    body = f"open({str(tmp_path / 'got')!r}, 'w').write(sys.stdin.read()); assert 'GATEPOST_KEY' not in os.environ"
    outcomes = channel(tmp_path, body).apply(CHANGES)
    assert [one.error for one in outcomes] == [None, None]
    assert json.loads((tmp_path / "got").read_text()) == {
        "changes": [
            {
                "action": "withdraw",
                "name": "old.gatepost.test",
                "type": "MX",
                "values": ["10 mx.gatepost.test"],
            },
            {
                "action": "put",
                "name": "s.gatepost.test",
                "type": "TXT",
                "ttl": 300,
                "values": ['v=spf1 "x" -all'],
            },
        ]
    }


def test_its_status_and_last_words_are_told(tmp_path: Path) -> None:
    body = "print('first', file=sys.stderr); print('the zone is\\x1b locked', file=sys.stderr); sys.exit(3)"
    errors = {one.error for one in channel(tmp_path, body).apply(CHANGES)}
    assert errors == {f"{tmp_path / 'publish'} ended with status 3: the zone is? locked"}


def test_one_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    body = "import subprocess; subprocess.run(['sleep', '600'])"
    [error, _] = [one.error for one in channel(tmp_path, body, timeout=1.0).apply(CHANGES)]
    assert error == f"{tmp_path / 'publish'} did not end within 1 s"


def test_one_that_is_not_there(tmp_path: Path) -> None:
    missing = CommandChannel(
        tmp_path / "nothing", 1.0, 300, ResolverLook([("127.0.0.1", 9)]), ["gatepost.test"]
    )
    assert "cannot be run" in str(missing.apply(CHANGES)[0].error)


def test_a_person_publishes_and_what_dns_shows_is_pending_no_more(
    control_url: str, location_database: Database, make_services: MakeServices, zones: Authority
) -> None:
    services = make_services(control_url, settings=PUBLISHING)
    services.bootstrap()
    by_hand = ByHand(ResolverLook([("127.0.0.1", zones.port)]))
    service = PublishingService(services.writes, location_database, services.settings, by_hand)
    waiting = service.pending(OPERATOR)
    assert {one.name for one in waiting} >= {"_dmarc.mx.gatepost.test", "bounce.mx.gatepost.test"}
    assert all("by hand" in (one.error or "") for one in waiting)
    for one in waiting:
        values = [value + "." if one.type in ("MX", "CNAME") else value for value in one.values]
        zones.put(one.name, one.type, *values)
    assert service.reconcile(OPERATOR) == ()
    assert service.pending(OPERATOR) == ()
    zones.put("_dmarc.mx.gatepost.test", "TXT")
    [differing] = service.reconcile(OPERATOR, dry_run=True)
    assert differing.error is None
    [lost] = service.reconcile(OPERATOR)
    assert "by hand" in (lost.error or "")
    assert (lost.name, lost.action) == ("_dmarc.mx.gatepost.test", "put")
    assert [one.name for one in service.pending(OPERATOR)] == ["_dmarc.mx.gatepost.test"]


def test_what_others_have_at_the_host_names_is_never_given_to_it(
    control_url: str,
    location_database: Database,
    make_services: MakeServices,
    zones: Authority,
    tmp_path: Path,
) -> None:
    services = make_services(control_url, settings=PUBLISHING)
    services.bootstrap()
    services.tenants.create(OPERATOR, "acme")
    zones.put("_dmarc.mx.gatepost.test", "TXT", "v=DMARC1; p=reject")
    zones.put("bounce.mx.gatepost.test", "MX", "10 mail.other.test.")
    zones.put("mta-sts.mx.gatepost.test", "A", "192.0.2.80")
    config = PublishingConfig(
        command=program(tmp_path, f"open({str(tmp_path / 'got')!r}, 'a').write(sys.stdin.read())")
    )
    look = ResolverLook([("127.0.0.1", zones.port)])
    service = PublishingService(
        services.writes, location_database, services.settings, open_channel(config, services.settings, look)
    )
    refused = {(one.name, one.type): one.error or "" for one in service.reconcile(OPERATOR) if one.error}
    assert set(refused) == {
        ("_dmarc.mx.gatepost.test", "TXT"),
        ("bounce.mx.gatepost.test", "MX"),
        ("mta-sts.mx.gatepost.test", "CNAME"),
    }
    assert "p=reject" in refused["_dmarc.mx.gatepost.test", "TXT"]
    assert "192.0.2.80" in refused["mta-sts.mx.gatepost.test", "CNAME"]
    given = {(one["name"], one["type"]) for one in json.loads((tmp_path / "got").read_text())["changes"]}
    assert ("bounce.mx.gatepost.test", "TXT") in given
    assert given.isdisjoint(refused)


def test_nothing_is_given_to_it_where_nobody_says_what_stands_there(tmp_path: Path) -> None:
    blind = CommandChannel(
        program(tmp_path, "sys.exit('it ran')"),
        20.0,
        300,
        ResolverLook([("127.0.0.1", 9)]),
        ["dkim.gatepost.test"],
    )
    [outcome] = blind.apply(CHANGES[:1])
    assert "nobody says what stands at s.gatepost.test" in (outcome.error or "")
