"""The doctor over a real installation whose DNS is a name server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.app.desk import OpenedDesk
from gateway.app.doctoring import doctor_of
from gateway.system.config.model import Endpoint
from tests.support.api import ApiWorld
from tests.support.cli import Cli
from tests.support.control import SETTINGS
from tests.support.dns import NameServer, Records, txt

HOST = SETTINGS.hostname


@pytest.fixture
def records(api: ApiWorld) -> Iterator[Records]:
    """What DNS has: the installation's resolver serves these. Its only listener is that server's."""
    server = NameServer({(HOST, "A"): ["127.0.0.1"]})
    here = (Endpoint(f"127.0.0.1:{server.port}"),)
    config = api.installation.ground.config
    config = replace(
        config,
        dns=replace(config.dns, servers=here),
        doctor=replace(config.doctor, outward=()),
        listen=replace(config.listen, submission=here),
    )
    desk = OpenedDesk.over(replace(api.installation.ground, config=config))
    desk.services = api.services
    # The time of these tests is not that of a real database server.
    clock = api.installation.clock
    api.app.state.parts = replace(
        api.parts,
        doctor=lambda actor, everything: doctor_of(desk, database_time=clock.now).examine(
            actor, everything=everything
        ),
    )
    yield server.records
    server.close()


def examined(api: ApiWorld) -> dict[str, dict[str, Any]]:
    """The findings, one of each check."""
    return {one["name"]: one for one in reversed(api.done("GET", "/v1/doctor")["findings"])}


def publish(api: ApiWorld, records: Records) -> None:
    """What the platform and its tenants need, as a person would."""
    for domain in api.done("GET", "/v1/domains")["items"]:
        for row in api.done("GET", f"/v1/domains/{domain['id']}/records")["items"]:
            value = txt(row["value"]) if row["type"] == "TXT" else row["value"] + "."
            records[row["name"], row["type"]] = [value]
    records[HOST, "TXT"] = [txt(f"v=spf1 a:{HOST} -all")]


def test_an_installation_is_red_until_its_records_are_there(
    api: ApiWorld, records: Records, cli: Cli
) -> None:
    api.done("POST", "/v1/tenants", {"name": "Acme"})
    before = examined(api)
    assert (before["spf"]["level"], before["dkim"]["level"]) == ("red", "red")
    assert cli.run("doctor").exit_code == 1
    publish(api, records)
    after = examined(api)
    assert {name for name, one in after.items() if one["level"] == "red"} == set()
    assert (after["dkim"]["level"], after["helo"]["level"], after["port"]["level"]) == ("green",) * 3
    result = cli.run("doctor")
    assert result.exit_code == 0
    assert "The installation is amber." in result.stdout
    assert "There is no TLS certificate." in result.stdout


def test_only_the_operator_looks(api: ApiWorld, records: Records) -> None:
    tenant = api.done("POST", "/v1/tenants", {"name": "Acme"})
    assert api.refused("GET", "/v1/doctor", key=api.key(tenant=tenant["id"])) == (403, "operator-only")


def test_mail_that_waits_is_seen(api: ApiWorld, records: Records) -> None:
    assert examined(api)["queue"]["detail"] == "Nothing waits."
    tenant = api.done("POST", "/v1/tenants", {"name": "Acme"})
    made = api.done(
        "POST", "/v1/accounts", {"address": "app@acme.trial.gatepost.test", "tenant": tenant["id"]}
    )
    api.mail(made["address"])
    api.installation.clock.advance(7_200)
    queue = examined(api)["queue"]
    assert (queue["level"], queue["detail"]) == ("amber", "The oldest mail has waited for 120 min.")
