"""The audit over the control database and two locations."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from gateway.app.upgrading import seal_heads, upgraded
from gateway.control.audit.entries import AuditQuery
from gateway.control.audit.erasure import AuditErasure
from gateway.control.audit.trail import AuditTrail
from gateway.control.errors import Forbidden, Invalid, NotFound
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.outgoing.queue.audit import LocationAudit
from gateway.system.database import Database
from gateway.system.database.schema import Which
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


def test_a_tenant_is_not_told_the_numbers_that_count_what_happens_to_all(
    trail: AuditTrail, acme: str
) -> None:
    mine = limited(acme)
    paged = [trail.list(mine, limit=2)]
    while (cursor := paged[-1].cursor) is not None:
        paged.append(trail.list(mine, cursor=cursor, limit=2))
    seen = [one for page in paged for one in page.items]
    exported = list(trail.export(mine))
    assert {one.number for one in (*seen, *exported, trail.show(mine, seen[0].id))} == {None}
    assert {one.id for one in seen} == {one.id for one in exported}
    own = trail.list(OPERATOR, AuditQuery(tenant_id=acme)).items[0]
    with pytest.raises(NotFound):
        trail.show(mine, str(own.number), own.database)


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
        ("DELETE FROM audit_payloads WHERE number = 2", "the payload of entry 2 is missing", 2),
        ("DELETE FROM audit_payloads", "the payload of entry 1 is missing", 1),
        ("UPDATE audit_head SET seal = NULL", "the head at entry 3 has no true seal", 4),
        ("UPDATE audit_head SET number = 4", "the chain ends at entry 3, the head says 4", 4),
        (
            "CREATE TABLE kept AS SELECT * FROM audit_payloads; DELETE FROM audit_payloads;"
            " UPDATE audit_entries SET number = 9 WHERE number = 2;"
            " UPDATE audit_entries SET number = 2 WHERE number = 3;"
            " UPDATE audit_entries SET number = 3 WHERE number = 9;"
            " INSERT INTO audit_payloads SELECT * FROM kept",
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
        for one in statement.split(";"):
            connection.execute(sa.text(one.replace(":", "\\:")))
    control, default, eu = trail.verify()
    assert (control.whole, default.whole, eu.whole) == (True, True, False)
    assert (eu.database, eu.number) == ("eu", number)
    assert problem in str(eu.problem)


def cut(database: Database, table: str, prefix: str, number: int) -> None:
    """Take away every entry after `number`, and set the head to that entry's own hash."""
    with database.write() as connection:
        for rows in ("audit_payloads", "audit_entries"):
            connection.execute(sa.text(f"DELETE FROM {rows} WHERE number > :number"), {"number": number})
        columns = f"{prefix}number = :number, {prefix}hash = (SELECT chain_hash FROM audit_entries"
        connection.execute(
            sa.text(f"UPDATE {table} SET {columns} WHERE number = :number)"), {"number": number}
        )


def test_a_chain_that_was_cut_is_noticed_though_its_head_was_set(
    trail: AuditTrail, control_services: ControlServices, locations: dict[str, Database], acme: str
) -> None:
    cut(control_services.writes.database, "control_head", "audit_", 2)
    cut(locations["eu"], "audit_head", "", 2)
    for _ in range(2):
        control, default, eu = trail.verify()
        assert default.whole
        assert (control.whole, eu.whole) == (False, False)
        assert "has no true seal" in str(control.problem)
        assert "has no true seal" in str(eu.problem)
        # What is added after it does not hide it.
        control_services.tenants.create(OPERATOR, f"after {control.entries}")
        audit = LocationAudit(
            IdSource(control_services.writes.clock), control_services.installation.durable_key("audit")
        )
        with locations["eu"].write() as connection:
            audit.append(connection, OTHER, "queue.drop", ("message", "m", acme), {}, {}, 1.0)


def test_a_location_whose_chain_is_gone_with_its_head_is_noticed_by_a_head_that_was_kept(
    trail: AuditTrail, locations: dict[str, Database], acme: str
) -> None:
    head = trail.heads()["eu"]
    with locations["eu"].write() as connection:
        for table in ("audit_payloads", "audit_entries", "audit_head"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    eu = trail.verify([f"eu={head.number}:{head.hash}"])[2]
    assert (eu.whole, eu.problem) == (False, "the chain ends at entry 0, and entry 3 was logged as its head")


def test_a_database_put_back_to_an_earlier_state_is_noticed_by_a_head_that_was_logged(
    trail: AuditTrail, control_services: ControlServices, acme: str
) -> None:
    before = trail.heads()["control"]
    control_services.tenants.create(OPERATOR, "globex")
    after = trail.heads()["control"]
    assert trail.verify([f"{before.number}:{before.hash}", f"control={after.number}:{after.hash}"])[0].whole
    with control_services.writes.database.write() as connection:
        for table in ("audit_payloads", "audit_entries"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE number > :n"), {"n": before.number})
        values = {"n": before.number, "h": before.hash, "s": before.seal}
        back = "UPDATE control_head SET audit_number = :n, audit_hash = :h, audit_seal = :s"
        connection.execute(sa.text(back), values)
    assert trail.verify()[0].whole
    missed = trail.verify([f"{after.number}:{after.hash}"])[0]
    assert (missed.whole, missed.entries) == (False, before.number)
    assert "was logged as its head" in str(missed.problem)
    control_services.tenants.create(OPERATOR, "another")
    other = trail.verify([f"{before.number + 1}:{after.hash}"])[0]
    assert (other.whole, other.number) == (False, before.number + 1)
    assert "is another one than the head that was logged" in str(other.problem)


def test_what_the_operator_erases_is_gone_and_its_entry_and_the_chains_are_whole(
    trail: AuditTrail, control_services: ControlServices, locations: dict[str, Database], acme: str
) -> None:
    chain = LocationAudit(
        IdSource(control_services.writes.clock), control_services.installation.durable_key("audit")
    )
    erasure = AuditErasure(trail, control_services.writes, locations, chain)
    for database in ("control", "eu"):
        entry = trail.list(OPERATOR, AuditQuery(tenant_id=acme), database=database).items[-1]
        assert (entry.after is None, entry.is_erased) == (False, False)
        with pytest.raises(Forbidden):
            erasure.erase(limited(acme), entry.id)
        with pytest.raises(NotFound):
            erasure.erase(limited("01a3185c-502d-7087-b6bc-deb58b1c5ee7"), entry.id)
        for _ in range(2):
            gone = erasure.erase(OPERATOR, str(entry.number), database=database, why="Art. 17")
            assert (gone.id, gone.after, gone.is_erased) == (entry.id, None, True)
        (told,) = trail.list(OPERATOR, AuditQuery(operation="audit.erase"), database=database).items
        assert (told.resource_id, told.tenant_id) == (entry.id, acme)
        assert told.after == {"why": "Art. 17"}
    assert all(one.whole for one in trail.verify())
    with locations["eu"].write() as connection:
        connection.execute(sa.text("DELETE FROM audit_payloads WHERE number = 2"))
    assert trail.verify()[2].number == 2


@pytest.mark.parametrize("head", ["", "7", ":", "x:" + "0" * 64, "7:abc", "7:" + "G" * 64, "=7:" + "0" * 63])
def test_what_is_no_head_is_refused(trail: AuditTrail, head: str) -> None:
    with pytest.raises(Invalid, match="no head"):
        trail.verify([head])
    with pytest.raises(NotFound, match="database"):
        trail.verify(["us=1:" + "0" * 64])


def test_what_an_older_program_left_without_seals_is_sealed_by_the_upgrade_alone(
    trail: AuditTrail, control_services: ControlServices, locations: dict[str, Database], acme: str
) -> None:
    databases: dict[Database, Which] = {
        control_services.writes.database: "control",
        locations["default"]: "location",
        locations["eu"]: "location",
    }
    for database, which in databases.items():
        table, column = ("control_head", "audit_seal") if which == "control" else ("audit_head", "seal")
        with database.write() as connection:
            connection.execute(sa.text(f"UPDATE {table} SET {column} = NULL"))
    assert upgraded(databases, "auto") == {}
    assert [one.whole for one in trail.verify()] == [False, False, False]
    for database, which in databases.items():
        version = 2 if which == "control" else 1
        with database.write() as connection:
            connection.execute(sa.text("UPDATE schema_version SET version = :v"), {"v": version})
    unsealed = upgraded(databases, "auto")
    assert unsealed == databases
    with capture_logs() as lines:
        seal_heads(unsealed, control_services.installation)
    assert [line["event"] for line in lines] == ["audit_head_sealed"] * 3
    assert [one.whole for one in trail.verify()] == [True, True, True]


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
