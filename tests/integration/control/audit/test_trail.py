"""The audit over the control database and two locations."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from gateway.control.audit.entries import AuditQuery
from gateway.control.audit.trail import AuditTrail
from gateway.control.errors import Invalid, NotFound
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.outgoing.queue.audit import LocationAudit
from gateway.system.database import Database
from gateway.system.ids import IdSource
from tests.support.control import OPERATOR, limited

OTHER = Actor("api", "key-9")


@pytest.fixture
def acme(control_services: ControlServices, locations: dict[str, Database]) -> str:
    """A tenant with an entry in each chain, in turn; its id."""
    clock = control_services.writes.clock
    tenant = control_services.tenants.create(OPERATOR, "acme")
    audit = LocationAudit(IdSource(clock), control_services.installation.durable_key("audit"))
    for number in range(3):
        for database in locations.values():
            with database.write() as connection:
                resource = ("message", f"m-{number}", tenant.id)
                audit.append(connection, OTHER, "queue.drop", resource, {}, {"n": number}, clock.now())
        control_services.tenants.update(OPERATOR, "acme", metadata={"n": str(number)})
    return tenant.id


def test_all_chains_are_listed_by_time_and_paged_without_a_gap(trail: AuditTrail, acme: str) -> None:
    query = AuditQuery(tenant_id=acme)
    whole = trail.list(OPERATOR, query).items
    assert [one.at for one in whole] == sorted((one.at for one in whole), reverse=True)
    assert {one.database for one in whole} == {"control", "default", "eu"}
    paged, cursor = [], None
    while True:
        page = trail.list(OPERATOR, query, cursor=cursor, limit=2)
        paged += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert tuple(paged) == whole


def test_entries_are_chosen_by_actor_kind_and_database(trail: AuditTrail, acme: str) -> None:
    by_key = trail.list(OPERATOR, AuditQuery(actor="api:key-9")).items
    assert len(by_key) == 6
    assert by_key == trail.list(OPERATOR, AuditQuery(actor="key-9")).items
    assert {one.resource_kind for one in by_key} == {"message"}
    assert trail.list(OPERATOR, AuditQuery(resource_kind="message"), database="eu").items == tuple(
        one for one in by_key if one.database == "eu"
    )
    assert trail.list(OPERATOR, AuditQuery(actor="cli:key-9")).items == ()
    with pytest.raises(NotFound, match="database"):
        trail.list(OPERATOR, database="us")


def test_a_tenant_sees_its_own_entries_in_every_chain(
    trail: AuditTrail, control_services: ControlServices, acme: str
) -> None:
    control_services.tenants.create(OPERATOR, "globex")
    seen = trail.list(limited(acme)).items
    assert {one.tenant_id for one in seen} == {acme}
    assert {one.database for one in seen} == {"control", "default", "eu"}
    with pytest.raises(NotFound):
        trail.list(limited(acme), tenant="globex")


def test_one_entry_is_found_in_whichever_chain_it_is(trail: AuditTrail, acme: str) -> None:
    one = trail.list(OPERATOR, AuditQuery(resource_kind="message"), database="eu").items[0]
    assert trail.show(OPERATOR, one.id) == one
    assert trail.show(OPERATOR, str(one.number), "eu") == one
    assert trail.show(OPERATOR, "1").database == "control"
    with pytest.raises(NotFound):
        trail.show(limited("01a3185c-502d-7087-b6bc-deb58b1c5ee7"), one.id)


def test_the_export_has_every_entry_of_every_chain(trail: AuditTrail, acme: str) -> None:
    entries = list(trail.export(OPERATOR))
    for name in ("control", "default", "eu"):
        numbers = [one.number for one in entries if one.database == name]
        assert numbers == list(range(1, len(numbers) + 1))
    assert len([one for one in entries if one.database != "control"]) == 6


def test_whole_chains_are_whole(trail: AuditTrail, acme: str) -> None:
    verdicts = trail.verify()
    assert [one.database for one in verdicts] == ["control", "default", "eu"]
    assert all(one.whole for one in verdicts)
    assert [one.entries for one in verdicts[1:]] == [3, 3]


@pytest.mark.parametrize(
    ("statement", "problem", "number"),
    [
        ("UPDATE audit_entries SET actor_id = 'me' WHERE number = 2", "entry 2 was changed", 2),
        (
            "UPDATE audit_payloads SET after = '{\"n\":9}' WHERE number = 3",
            "the payload of entry 3 was changed",
            3,
        ),
        (
            "DELETE FROM audit_payloads WHERE number = 1; DELETE FROM audit_entries WHERE number = 1",
            "missing",
            1,
        ),
        ("UPDATE audit_head SET number = 4", "the chain ends at entry 3, the head says 4", 4),
        (
            "UPDATE audit_entries SET number = 9 WHERE number = 2;"
            " UPDATE audit_entries SET number = 2 WHERE number = 3;"
            " UPDATE audit_entries SET number = 3 WHERE number = 9",
            "entry 2 does not follow the one before it",
            2,
        ),
    ],
)
def test_a_forged_row_of_a_location_is_named(
    trail: AuditTrail,
    locations: dict[str, Database],
    acme: str,
    statement: str,
    problem: str,
    number: int,
) -> None:
    with locations["eu"].write() as connection:
        if "SET number = 9" in statement:
            connection.execute(sa.text("DELETE FROM audit_payloads"))
        for one in statement.split(";"):
            connection.execute(sa.text(one.replace(":", "\\:")))
    control, default, eu = trail.verify()
    assert (control.whole, default.whole, eu.whole) == (True, True, False)
    assert (eu.database, eu.number) == ("eu", number)
    assert problem in str(eu.problem)


def test_every_head_is_logged(trail: AuditTrail, acme: str) -> None:
    with capture_logs() as lines:
        trail.log_heads()
    heads = trail.heads()
    assert [(line["database"], line["number"], line["hash"]) for line in lines] == [
        (name, head.number, head.hash) for name, head in heads.items()
    ]
    assert heads["eu"].number == 3
    assert heads["control"].hash


@pytest.mark.parametrize("cursor", ["", "x", "bnVsbA", "WzFd", "eyJhIjoiYiJ9", "é", "eyJhIjoxZTk5fQ"])
def test_a_cursor_that_is_none_is_refused(trail: AuditTrail, cursor: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        trail.list(OPERATOR, cursor=cursor)
