"""Deleting: stopped at once, had back within the grace, gone after it; names and addresses are free then."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.control.base import Base
from gateway.control.deletion.purge import Purge, PurgeReport
from gateway.control.directory import Directory, Refused
from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.keys.model import KeyRow
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, MakeServices, TickingClock, limited

WEEK = 7 * 86_400.0
SYSTEM = Actor(kind="system", id="deletion")


class Mail:
    """Queues that remember what they were asked; `busy` accounts, tenants or shards keep theirs."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.busy: set[str] = set()

    def drop(self, *, tenant_id: str, account_id: str | None) -> bool:
        self.dropped.append(account_id or tenant_id)
        return (account_id or tenant_id) not in self.busy

    def is_queued(self, shard_id: str) -> bool:
        return shard_id in self.busy

    def keys_in_use(self, key_ids: Sequence[str]) -> bool:
        return not self.busy.isdisjoint(key_ids)


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock(1_800_000_000.0)


@pytest.fixture
def services(control_url: str, make_services: MakeServices, clock: TickingClock) -> ControlServices:
    """Acme with bob of acme.test, who has a password; globex."""
    services = make_services(control_url, clock=clock)
    services.bootstrap()
    services.tenants.create(OPERATOR, "acme")
    services.tenants.create(OPERATOR, "globex")
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    services.domains.mark_verified(OPERATOR, "acme.test", "ours")
    services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme", smtp=True, aliases=["b@acme.test"])
    services.credentials.create(OPERATOR, "bob@acme.test")
    return services


@pytest.fixture
def mail() -> Mail:
    return Mail()


@pytest.fixture
def purge(services: ControlServices, mail: Mail) -> Callable[[], PurgeReport]:
    return lambda: Purge(services.writes, mail).run(SYSTEM)


async def _refused(services: ControlServices, account_id: str) -> bool:
    directory = Directory(services.writes.database, clock=services.writes.clock)
    try:
        directory.refresh()
        return isinstance(await directory.identity(account_id, None, "smtp"), Refused)
    finally:
        directory.stop()


def _left(services: ControlServices, tenant_id: str) -> dict[str, int]:
    """How many rows of a tenant each table still has, the audit aside."""
    found: dict[str, int] = {}
    with services.writes.view() as session:
        for table in Base.metadata.sorted_tables:
            if "tenant_id" in table.c and not table.name.startswith(("audit", "control_changes")):
                statement = (
                    sa.select(sa.func.count()).select_from(table).where(table.c.tenant_id == tenant_id)
                )
                found[table.name] = session.scalar(statement) or 0
    return {name: count for name, count in found.items() if count}


async def test_an_account_stops_at_once_and_comes_back_as_it_was(
    services: ControlServices, purge: Callable[[], PurgeReport], clock: TickingClock
) -> None:
    before = services.accounts.show(OPERATOR, "bob@acme.test")
    deleted = services.deletion.delete_account(OPERATOR, "bob@acme.test", reason="left")
    assert (deleted.status, deleted.status_reason) == ("deleting", "left")
    assert deleted.purge_at == pytest.approx(clock.now() + WEEK, abs=10)
    assert await _refused(services, before.id)
    with pytest.raises(Conflict, match="being deleted"):
        services.deletion.delete_account(OPERATOR, "bob@acme.test")
    with pytest.raises(Conflict):
        services.accounts.resume(OPERATOR, "bob@acme.test")
    assert purge() == PurgeReport()
    back = services.deletion.restore_account(OPERATOR, "bob@acme.test")
    assert (back.status, back.purge_at, back.aliases) == ("active", None, before.aliases)
    assert not await _refused(services, before.id)
    with pytest.raises(Conflict, match="not being deleted"):
        services.deletion.restore_account(OPERATOR, "bob@acme.test")


def test_a_suspended_account_comes_back_suspended(services: ControlServices) -> None:
    services.accounts.suspend(OPERATOR, "bob@acme.test", reason="spam")
    services.deletion.delete_account(OPERATOR, "bob@acme.test")
    assert services.deletion.restore_account(OPERATOR, "bob@acme.test").status == "suspended"


def test_an_address_used_again_is_another_grant(
    services: ControlServices, purge: Callable[[], PurgeReport], clock: TickingClock, mail: Mail
) -> None:
    old = services.deletion.delete_account(OPERATOR, "bob@acme.test", grace_seconds=60)
    with pytest.raises(Conflict, match="taken"):
        services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme")
    clock.advance(61)
    with pytest.raises(Conflict, match="grace"):
        services.deletion.restore_account(OPERATOR, "bob@acme.test")
    assert purge() == PurgeReport(accounts=("bob@acme.test",))
    assert mail.dropped == [old.id]
    with pytest.raises(NotFound):
        services.accounts.show(OPERATOR, old.id)
    new = services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme", aliases=["b@acme.test"])
    assert new.grant_id != old.grant_id
    assert services.credentials.list(OPERATOR, "bob@acme.test", revoked=True) == ()
    (entry,) = [one for one in services.audit.list(OPERATOR) if one.operation == "account.erase"]
    assert (entry.resource_id, entry.after, entry.before["address"]) == (old.id, None, "bob@acme.test")


def test_mail_that_is_being_sent_puts_a_purge_off(
    services: ControlServices, purge: Callable[[], PurgeReport], clock: TickingClock, mail: Mail
) -> None:
    deleted = services.deletion.delete_account(OPERATOR, "bob@acme.test", grace_seconds=0)
    assert purge() == PurgeReport()
    clock.advance(6)
    mail.busy.add(deleted.id)
    assert purge() == PurgeReport(put_off=(f"account {deleted.id}",))
    assert services.accounts.show(OPERATOR, deleted.id).status == "deleting"
    mail.busy.clear()
    assert purge().accounts == ("bob@acme.test",)
    assert purge() == PurgeReport()


@pytest.mark.parametrize("seconds", [-1.0, 91 * 86_400.0])
def test_what_is_no_time_of_grace(services: ControlServices, seconds: float) -> None:
    with pytest.raises(Invalid):
        services.deletion.delete_account(OPERATOR, "bob@acme.test", grace_seconds=seconds)


async def test_a_tenant_goes_whole_and_only_it(
    services: ControlServices, purge: Callable[[], PurgeReport], clock: TickingClock, mail: Mail
) -> None:
    acme, globex = services.tenants.show(OPERATOR, "acme"), services.tenants.show(OPERATOR, "globex")
    bob = services.accounts.show(OPERATOR, "bob@acme.test")
    services.workspaces.create(OPERATOR, "own", tenant="acme", patterns=["acme.test"], default=True)
    services.lists.create(OPERATOR, "vip", "domain", tenant="acme", items=["a.test"])
    services.shards.create(OPERATOR, "s2.acme.test", tenant="acme", sign=True)
    services.api_keys.create(OPERATOR, "theirs", tenant="acme")
    services.api_keys.create(OPERATOR, "in a workspace", workspace="own")
    untouched = _left(services, globex.id)
    deleted = services.deletion.delete_tenant(OPERATOR, "acme", grace_seconds=60, reason="unpaid")
    assert (deleted.status, deleted.status_reason) == ("deleting", "unpaid")
    assert await _refused(services, bob.id)
    with pytest.raises(Conflict):
        services.domains.add(OPERATOR, "more.test", tenant="acme")
    assert services.deletion.restore_tenant(OPERATOR, "acme").status == "active"
    assert not await _refused(services, bob.id)
    services.deletion.delete_tenant(OPERATOR, "acme", grace_seconds=60)
    clock.advance(61)
    assert purge() == PurgeReport(tenants=("acme",))
    assert mail.dropped == [acme.id, bob.id]
    assert _left(services, acme.id) == {}
    assert _left(services, globex.id) == untouched
    operations = [one.operation for one in services.audit.list(OPERATOR, tenant=None, limit=500)]
    order = [
        "account.erase",
        "dkim-key.destroy",
        "shard.erase",
        "domain.erase",
        "workspace.erase",
        "tenant.erase",
    ]
    places = [operations[::-1].index(one) for one in order]
    assert places == sorted(places)
    assert services.audit.verify().whole
    with services.writes.view() as session:
        assert session.scalar(sa.select(sa.func.count()).where(KeyRow.tenant_id == acme.id)) == 0


def test_a_domain_of_a_deleted_tenant_can_be_claimed_by_another(
    services: ControlServices, purge: Callable[[], PurgeReport], clock: TickingClock
) -> None:
    services.deletion.delete_tenant(OPERATOR, "acme", grace_seconds=60)
    claim = services.domains.add(OPERATOR, "acme.test", tenant="globex")
    with pytest.raises(Conflict, match="held"):
        services.domains.mark_verified(OPERATOR, claim.id, "bought")
    clock.advance(61)
    purge()
    assert services.domains.mark_verified(OPERATOR, claim.id, "bought").state == "active"
    new = services.accounts.create(OPERATOR, "bob@acme.test", tenant="globex")
    assert services.credentials.list(OPERATOR, new.id) == ()
    again = services.tenants.create(OPERATOR, "acme")
    assert again.domains == ("acme.trial.gatepost.test",)


def test_a_purge_goes_on_where_it_was_interrupted(
    services: ControlServices, purge: Callable[[], PurgeReport], clock: TickingClock, mail: Mail
) -> None:
    for n in range(3):
        services.accounts.create(OPERATOR, f"u{n}@acme.test", tenant="acme")
    slow = services.accounts.show(OPERATOR, "u1@acme.test")
    services.deletion.delete_tenant(OPERATOR, "acme", grace_seconds=60)
    clock.advance(61)
    mail.busy.add(slow.id)
    assert purge() == PurgeReport(put_off=(f"account {slow.id}",))
    assert [one.address for one in services.accounts.list(OPERATOR, tenant="acme")] == ["u1@acme.test"]
    mail.busy.clear()
    assert purge().tenants == ("acme",)


def test_a_domain_goes_only_when_nothing_needs_it(
    services: ControlServices, purge: Callable[[], PurgeReport], clock: TickingClock, mail: Mail
) -> None:
    shard = services.shards.create(OPERATOR, "s1.acme.test", tenant="acme", sign=True)
    with pytest.raises(Conflict, match="1 accounts"):
        services.deletion.delete_domain(OPERATOR, "acme.test")
    services.deletion.delete_account(OPERATOR, "bob@acme.test", grace_seconds=3600)
    with pytest.raises(Conflict, match=r"s1\.acme\.test"):
        services.deletion.delete_domain(OPERATOR, "acme.test")
    services.shards.retire(OPERATOR, "s1.acme.test")
    deleted = services.deletion.delete_domain(OPERATOR, "acme.test", grace_seconds=60)
    assert deleted.state == "suspended"
    with pytest.raises(Conflict, match="being deleted"):
        services.domains.mark_verified(OPERATOR, "acme.test", "again")
    restored = services.deletion.restore_domain(OPERATOR, "acme.test")
    assert (restored.state, restored.purge_at) == ("active", None)
    services.deletion.delete_domain(OPERATOR, "acme.test", grace_seconds=60)
    clock.advance(61)
    assert purge().put_off == ("domain acme.test",)
    clock.advance(3600)
    mail.busy.add(shard.id)
    report = purge()
    assert (report.accounts, report.put_off) == (("bob@acme.test",), ("domain acme.test",))
    mail.busy = {services.keys.list(OPERATOR, domain="acme.test")[0].id}
    assert purge().put_off == ("domain acme.test",)
    mail.busy.clear()
    assert purge().domains == ("acme.test",)
    with pytest.raises(NotFound):
        services.shards.show(OPERATOR, shard.id)
    services.shards.create(OPERATOR, "s1.acme.test", tenant="globex")


def test_only_what_is_the_callers_is_deleted(services: ControlServices) -> None:
    caller = limited(services.tenants.show(OPERATOR, "globex").id)
    for call in (
        lambda: services.deletion.delete_account(caller, "bob@acme.test"),
        lambda: services.deletion.delete_domain(caller, "acme.test"),
        lambda: services.deletion.delete_tenant(caller, "acme"),
        lambda: services.deletion.export_tenant(caller, "acme"),
    ):
        with pytest.raises(NotFound):
            call()
    for refused in (
        lambda: services.deletion.delete_tenant(caller, "globex"),
        lambda: services.deletion.delete_tenant(OPERATOR, "platform"),
        lambda: services.deletion.delete_domain(OPERATOR, "mx.gatepost.test"),
        lambda: services.deletion.delete_workspace(caller, "default"),
        lambda: services.deletion.delete_policy(caller, "default"),
    ):
        with pytest.raises(Forbidden):
            refused()


def test_workspaces_go_when_they_are_empty(services: ControlServices) -> None:
    services.workspaces.create(OPERATOR, "own", tenant="acme", patterns=["acme.test"])
    assert services.accounts.show(OPERATOR, "bob@acme.test").workspace == "own"
    with pytest.raises(Conflict, match="1 accounts"):
        services.deletion.delete_workspace(OPERATOR, "own")
    services.accounts.move(OPERATOR, ["bob@acme.test"], workspace="default")
    services.api_keys.create(OPERATOR, "limited", workspace="own")
    assert services.deletion.delete_workspace(OPERATOR, "own").patterns == ("acme.test",)
    with pytest.raises(NotFound):
        services.workspaces.show(OPERATOR, "own")
    assert services.api_keys.list(OPERATOR).items == ()
    with pytest.raises(Conflict):
        services.deletion.delete_workspace(OPERATOR, "staging")


def test_documents_go_when_nobody_uses_them(services: ControlServices, tmp_path: Any) -> None:
    services.workspaces.create(OPERATOR, "own", tenant="acme", policy="bulk")
    with pytest.raises(Conflict, match="workspace own"):
        services.deletion.delete_policy(OPERATOR, "bulk")
    with pytest.raises(Conflict, match=r"policy \w+ \(extends it\)"):
        services.deletion.delete_policy(OPERATOR, "default")
    with pytest.raises(Conflict, match="tenant acme"):
        services.deletion.delete_policy(OPERATOR, "plans/standard")
    services.workspaces.update(OPERATOR, "own", policy="default")
    assert services.deletion.delete_policy(OPERATOR, "bulk").version == 1
    services.deletion.delete_policy(OPERATOR, "plans/free")
    services.bootstrap()
    for reference in ("bulk", "plans/free"):
        with pytest.raises(NotFound):
            services.policies.show(OPERATOR, reference)
    (tmp_path / "bulk.toml").write_text('extends = "default"\n')
    services.policies.apply(OPERATOR, tmp_path / "bulk.toml")
    assert [one.version for one in services.policies.versions(OPERATOR, "bulk")] == [2, 1]


def test_a_last_export_has_everything_but_secrets(services: ControlServices) -> None:
    services.lists.create(OPERATOR, "vip", "domain", tenant="acme", items=["a.test", "b.test"])
    services.api_keys.create(OPERATOR, "theirs", tenant="acme")
    services.deletion.delete_tenant(OPERATOR, "acme")
    documents = list(services.deletion.export_tenant(OPERATOR, "acme"))
    kinds = [one["resource"] for one in documents]
    assert kinds[0] == "tenant"
    assert {"domain", "dkim-key", "shard", "account", "app-password", "list", "api-key", "audit"} <= set(
        kinds
    )
    assert [one["value"] for one in documents if one["resource"] == "list-item"] == ["a.test", "b.test"]
    assert {one.get("tenant_id") for one in documents if one["resource"] != "list-item"} == {
        documents[0]["id"]
    }
    text = json.dumps(documents)
    for secret in ("argon2", "sealed", '"hash"'):
        assert secret not in text
    audited = [one["operation"] for one in documents if one["resource"] == "audit"]
    assert audited[0] == "tenant.create"
    assert audited[-1] == "tenant.delete"


def test_the_operator_asks_about_a_tenant_that_is_gone_by_its_id(
    services: ControlServices, purge: Callable[[], PurgeReport], clock: TickingClock, tmp_path: Path
) -> None:
    strict = tmp_path / "strict.toml"
    strict.write_text('extends = "default"\n[limits.account]\nmessages_per_day = 10\n')
    services.policies.apply(OPERATOR, strict)
    services.workspaces.create(OPERATOR, "own", tenant="acme", policy="strict")
    services.accounts.update(OPERATOR, "bob@acme.test", workspace="own")
    acme, bob = services.tenants.show(OPERATOR, "acme"), services.accounts.show(OPERATOR, "bob@acme.test")
    services.raises.create(OPERATOR, bob.id, {"daily": 5_000}, until=clock.now() + WEEK, reason="launch")
    ended = services.raises.create(OPERATOR, bob.id, {"daily": 9_000}, until=clock.now() + WEEK, reason="x")
    services.raises.revoke(OPERATOR, ended.id)
    then = clock.now()
    services.deletion.delete_tenant(OPERATOR, "acme", grace_seconds=0)
    while acme.id in {tenant.id for tenant in services.tenants.list(OPERATOR)}:
        clock.advance(60.0)
        purge()
    entries = services.audit.list(OPERATOR, tenant=acme.id, limit=500)
    assert {entry.tenant_id for entry in entries} == {acme.id}
    report = services.history.report(OPERATOR, acme.id, 0.0, clock.now())
    assert [account.address for account in report.accounts] == ["bob@acme.test"]
    assert [one.reason for one in services.history.account_at(OPERATOR, bob.id, then).raises] == ["launch"]
    for actor, reference in ((limited(acme.id), "acme"), (OPERATOR, "acme"), (OPERATOR, bob.id)):
        with pytest.raises(NotFound):
            services.history.report(actor, reference, 0.0, clock.now())
    with pytest.raises(NotFound):
        services.history.tenant_id(limited(services.tenants.show(OPERATOR, "globex").id), acme.id)
