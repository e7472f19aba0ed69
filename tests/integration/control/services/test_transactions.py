"""What every change leaves behind: its audit, its mark in the log; and what a failed one does not."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest
import sqlalchemy as sa

from gateway.control.accounts.model import AccountRow
from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.errors import Conflict, NotFound
from gateway.control.installation.model import ChangeRow, HeadRow
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.control.tenants.model import TenantRow
from gateway.system.clock import SystemClock
from gateway.system.database import Database
from gateway.system.ids import IdSource
from tests.support.control import MASTER_KEY, OPERATOR, SETTINGS, MakeServices, cached_key, limited


def _revision(services: ControlServices) -> int:
    with services.writes.view() as session:
        return session.get_one(HeadRow, 1).revision


def _log(services: ControlServices, after: int) -> list[tuple[int, str, str | None, str | None]]:
    with services.writes.view() as session:
        statement = sa.select(ChangeRow).where(ChangeRow.revision > after)
        rows = session.scalars(statement.order_by(ChangeRow.revision, ChangeRow.n)).all()
        return [(row.revision - after, row.kind, row.tenant_id, row.account_id) for row in rows]


def test_the_log_names_what_changed(control_services: ControlServices) -> None:
    before = _revision(control_services)
    tenant = control_services.tenants.create(OPERATOR, "acme")
    kinds = [kind for revision, kind, owner, _ in _log(control_services, before) if owner == tenant.id]
    assert kinds == ["tenant", "domain", "key", "shard"]
    assert _revision(control_services) == before + 1
    account = control_services.accounts.create(OPERATOR, f"bob@{tenant.domains[0]}", tenant="acme")
    assert _log(control_services, before + 1) == [(1, "account", tenant.id, account.id)]


def test_a_change_that_is_refused_leaves_nothing(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    before, entries = _revision(control_services), len(control_services.audit.list(OPERATOR))
    with pytest.raises(Conflict):
        control_services.tenants.create(OPERATOR, "acme")
    with pytest.raises(NotFound):
        control_services.accounts.create(OPERATOR, "bob@nowhere.test", tenant="acme")
    assert _revision(control_services) == before
    assert len(control_services.audit.list(OPERATOR)) == entries


def test_subscribers_hear_of_commits_only(control_services: ControlServices) -> None:
    heard: list[int] = []
    control_services.writes.subscribe(heard.append)
    control_services.tenants.create(OPERATOR, "acme")
    with pytest.raises(Conflict):
        control_services.tenants.create(OPERATOR, "acme")
    assert heard == [_revision(control_services)]


def test_the_audit_says_who_what_and_from_where(control_services: ControlServices) -> None:
    actor = Actor(kind="api", id="key-7", address="192.0.2.4", request_id="req-1")
    control_services.tenants.create(actor, "acme")
    control_services.tenants.suspend(actor, "acme", reason="unpaid")
    entry = control_services.audit.list(OPERATOR)[0]
    assert (entry.operation, entry.actor_kind, entry.actor_id) == ("tenant.suspend", "api", "key-7")
    assert (entry.actor_address, entry.request_id) == ("192.0.2.4", "req-1")
    assert (entry.before["status"], entry.after["status"]) == ("active", "suspended")
    assert control_services.audit.show(OPERATOR, entry.id) == entry
    assert control_services.audit.show(OPERATOR, str(entry.number)) == entry
    of_acme = control_services.audit.list(OPERATOR, tenant="acme")
    assert [one.operation for one in of_acme] == [
        "tenant.suspend",
        "shard.create",
        "domain.add-trial",
        "tenant.create",
    ]
    older = control_services.audit.list(OPERATOR, before=entry.number, limit=1)
    assert [one.number for one in older] == [entry.number - 1]
    assert [one.number for one in control_services.audit.export(OPERATOR)] == list(range(1, entry.number + 1))


def test_a_limited_caller_reads_its_own_audit(control_services: ControlServices) -> None:
    acme = control_services.tenants.create(OPERATOR, "acme")
    control_services.tenants.create(OPERATOR, "globex")
    caller = limited(acme.id)
    assert {one.tenant_id for one in control_services.audit.list(caller)} == {acme.id}
    foreign = control_services.audit.list(OPERATOR, tenant="globex")[0]
    with pytest.raises(NotFound):
        control_services.audit.show(caller, foreign.id)


def test_an_untouched_chain_is_whole(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    verdict = control_services.audit.verify()
    assert verdict.whole, verdict.problem
    assert verdict.entries == len(control_services.audit.list(OPERATOR))


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (sa.update(AuditEntryRow).where(AuditEntryRow.number == 3).values(actor_id="nobody"), "was changed"),
        (
            sa.update(AuditPayloadRow).where(AuditPayloadRow.number == 3).values(after="{}"),
            "payload of entry 3",
        ),
        (sa.delete(AuditEntryRow).where(AuditEntryRow.number == 3), "entry 3 is missing"),
        (sa.update(HeadRow).values(audit_number=99), "the head says 99"),
    ],
)
def test_a_touched_chain_is_noticed(
    control_services: ControlServices, statement: sa.Update | sa.Delete, problem: str
) -> None:
    for name in ("a", "b", "c", "d"):
        control_services.tenants.create(OPERATOR, name)
    with control_services.writes.database.write() as connection:
        if isinstance(statement, sa.Delete):
            connection.execute(sa.delete(AuditPayloadRow).where(AuditPayloadRow.number == 3))
        connection.execute(statement)
    verdict = control_services.audit.verify()
    assert not verdict.whole
    assert problem in str(verdict.problem)


def test_a_payload_that_is_missing_is_noticed_and_its_entry_still_shown(
    control_services: ControlServices,
) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    entry = control_services.audit.list(OPERATOR)[0]
    with control_services.writes.database.write() as connection:
        connection.execute(sa.delete(AuditPayloadRow).where(AuditPayloadRow.number == entry.number))
    verdict = control_services.audit.verify()
    assert (verdict.whole, verdict.number) == (False, entry.number)
    assert (
        verdict.problem
        == f"the payload of entry {entry.number} is missing, and no later entry tells that it was erased"
    )
    erased = control_services.audit.show(OPERATOR, entry.id)
    assert (erased.before, erased.after) == (None, None)


def test_the_last_entry_cut_off_is_noticed(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    last = control_services.audit.list(OPERATOR)[0].number
    with control_services.writes.database.write() as connection:
        connection.execute(sa.delete(AuditPayloadRow).where(AuditPayloadRow.number == last))
        connection.execute(sa.delete(AuditEntryRow).where(AuditEntryRow.number == last))
    assert not control_services.audit.verify().whole


def _killed_inside(url: str) -> None:
    with Database.open(url, purpose="control") as database:
        services = ControlServices.open(
            database, MASTER_KEY, SETTINGS, SystemClock(), IdSource(SystemClock()), make_key=cached_key
        )
        with services.writes.change(OPERATOR) as change:
            change.session.execute(sa.update(TenantRow).values(status="suspended"))
            change.audit("tenant.suspend", "tenant", "x", tenant_id=None, before=None, after=None)
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_killed_inside_a_transaction_leaves_nothing(
    control_services: ControlServices, control_url: str
) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    before = _revision(control_services)
    process = multiprocessing.get_context("spawn").Process(target=_killed_inside, args=(control_url,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    # The lock of the dead is free, and nothing of it is there.
    control_services.tenants.update(OPERATOR, "acme", contacts=["ops@acme.test"])
    assert control_services.tenants.show(OPERATOR, "acme").status == "active"
    assert _revision(control_services) == before + 1
    assert control_services.audit.verify().whole


def _create_tenants(url: str, prefix: str, count: int) -> None:
    with Database.open(url, purpose="control") as database:
        clock = SystemClock()
        services = ControlServices.open(
            database, MASTER_KEY, SETTINGS, clock, IdSource(clock), make_key=cached_key
        )
        for number in range(count):
            services.tenants.create(OPERATOR, f"{prefix}{number}")
            # Both want the same name; one gets it.
            try:
                services.tenants.create(OPERATOR, f"wanted{number}")
            except Conflict:
                continue


def test_two_processes_write_at_once(control_services: ControlServices, control_url: str) -> None:
    before = _revision(control_services)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_create_tenants, args=(control_url, name, 8)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(control_services.tenants.list(OPERATOR)) == 1 + 8 + 8 + 8
    assert _revision(control_services) == before + 24
    assert control_services.audit.verify().whole


@pytest.mark.parametrize("column", ["tenant_id", "environment", "workspace_owner"])
def test_the_database_itself_keeps_the_walls(control_services: ControlServices, column: str) -> None:
    acme = control_services.tenants.create(OPERATOR, "acme")
    globex = control_services.tenants.create(OPERATOR, "globex")
    account = control_services.accounts.create(OPERATOR, f"bob@{acme.domains[0]}", tenant="acme")
    wrong = {"tenant_id": globex.id, "environment": "staging", "workspace_owner": globex.id}[column]
    with pytest.raises(Conflict), control_services.writes.change(OPERATOR) as change:
        change.session.execute(
            sa.update(AccountRow).where(AccountRow.id == account.id).values({column: wrong})
        )
    assert control_services.accounts.show(OPERATOR, account.id) == account


@pytest.mark.parametrize("table", ["dkim_keys", "shards", "account_addresses", "domains"])
def test_no_child_can_be_given_to_another_tenant(control_services: ControlServices, table: str) -> None:
    acme = control_services.tenants.create(OPERATOR, "acme")
    globex = control_services.tenants.create(OPERATOR, "globex")
    control_services.accounts.create(OPERATOR, f"bob@{acme.domains[0]}", tenant="acme")
    rows = TenantRow.metadata.tables[table]
    with pytest.raises(Conflict), control_services.writes.change(OPERATOR) as change:
        change.session.execute(rows.update().where(rows.c.tenant_id == acme.id).values(tenant_id=globex.id))


@pytest.mark.parametrize("table", ["workspaces", "shards", "domains"])
def test_no_row_can_change_its_environment_alone(control_services: ControlServices, table: str) -> None:
    acme = control_services.tenants.create(OPERATOR, "acme")
    control_services.accounts.create(OPERATOR, f"bob@{acme.domains[0]}", tenant="acme")
    rows = TenantRow.metadata.tables[table]
    used = rows.c.tenant_id == acme.id if table != "workspaces" else rows.c.name == "default"
    with pytest.raises(Conflict), control_services.writes.change(OPERATOR) as change:
        change.session.execute(rows.update().where(used).values(environment="development"))


def test_bootstrap_twice_changes_nothing(
    control_services: ControlServices, control_url: str, make_services: MakeServices
) -> None:
    before = _revision(control_services)
    make_services(control_url).bootstrap()
    assert _revision(control_services) == before
    platform = control_services.tenants.show(OPERATOR, "platform")
    assert (platform.is_platform, platform.domains) == (True, ("mx.gatepost.test",))
    assert platform.shards == ("bounce.mx.gatepost.test",)
