"""The directory on real databases: what it holds, and how it learns of changes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.control.credentials.model import CredentialRow
from gateway.control.directory import RELOADED, Change, Directory, Refused, RefusedReason
from gateway.control.installation.model import ChangeRow
from gateway.control.policies.service import PolicyService
from gateway.control.records import Identity
from gateway.system.clock import ManualClock
from gateway.system.database import Database, DatabaseAway
from tests.integration.control.directory.world import ACTOR, World


@pytest.fixture
def directory(world: World) -> Iterator[Directory]:
    """A directory that only looks when it is told to."""
    made = world.directory(ManualClock())
    made.refresh()
    yield made
    made.stop()


def credential(world: World, account: Any, **values: Any) -> Any:
    row = world.add(
        "credential",
        CredentialRow,
        **{
            "account_id": account.id,
            "tenant_id": account.tenant_id,
            "key_id": world.ids.uuid()[-7:],
            "hash": "hash",
            "scopes": ["smtp"],
            "networks": [],
            "created_at": 0.0,
        }
        | values,
    )
    world.update("account", account)
    return row


def test_everything_that_is_held_whole(world: World, directory: Directory) -> None:
    platform = world.tenant("platform", is_platform=True)
    acme = world.tenant("acme")
    world.update("workspace", acme.workspace, is_default=True)
    domain = world.domain(acme.id, "acme.example")
    key = world.key(domain, "s1")
    source = world.source("out1.gate.example", "192.0.2.1")
    shard = world.shard(acme.id, "mail.acme.example", source_id=source.id, streams=["marketing"], weight=3)
    directory.refresh()
    fresh = world.directory()
    fresh.refresh()
    for one in (directory, fresh):
        assert one.platform.id == platform.id
        tenant = one.tenant(acme.id)
        assert tenant is not None
        assert (tenant.name, tenant.plan, tenant.default_workspace_id) == (
            "acme",
            "standard",
            acme.workspace.id,
        )
        workspace = one.workspace(acme.workspace.id)
        assert workspace is not None
        assert (workspace.tenant_id, workspace.policy) == (acme.id, "default")
        found = one.domain("acme.example")
        assert found is not None
        assert (found.id, found.may_send, found.receives) == (domain.id, True, False)
        assert [one_key.id for one_key in one.keys_of("acme.example")] == [key.id]
        assert one.key(key.id) is one.keys_of("acme.example")[0]
        (held,) = one.shards_of(acme.id, "production")
        assert held is one.shard(shard.id)
        assert held.source is not None
        assert (held.source.helo, held.streams, held.weight) == ("out1.gate.example", {"marketing"}, 3)
        assert one.shards_of(acme.id, "staging") == ()
        assert one.effective_policy(acme.id, acme.workspace.id).name == "default"
        assert one.revision == directory.revision
    fresh.stop()


def test_changes_of_every_kind_are_followed(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    source = world.source("out1.gate.example", "192.0.2.1")
    shard = world.shard(acme.id, "mail.acme.example", source_id=source.id)
    domain = world.domain(acme.id, "acme.example", state="pending")
    key = world.key(domain, "s1")
    directory.refresh()
    world.update("tenant", acme.row, status="suspended")
    world.update("workspace", acme.workspace, policy="free")
    world.update("source", source, helo="out2.gate.example")
    world.update("domain", domain, state="active")
    world.update("key", key, state="destroyed", sealed=b"")
    directory.refresh()
    tenant, workspace = directory.tenant(acme.id), directory.workspace(acme.workspace.id)
    assert tenant is not None
    assert workspace is not None
    assert tenant.status == "suspended"
    assert workspace.policy == "free"
    assert directory.effective_policy(acme.id, acme.workspace.id).name == "free"
    held = directory.shard(shard.id)
    assert held is not None
    assert held.source is not None
    assert held.source.helo == "out2.gate.example"
    found = directory.domain("acme.example")
    assert found is not None
    assert found.may_send
    assert directory.keys_of("acme.example") == ()
    world.delete("shard", shard)
    directory.refresh()
    assert directory.shard(shard.id) is None
    assert directory.shards_of(acme.id, "production") == ()


@pytest.mark.parametrize(
    ("state", "offered"), [("pending", 0), ("active", 1), ("degraded", 1), ("expired", 0)]
)
def test_a_shard_carries_nothing_before_its_domain_is_proved(
    world: World, directory: Directory, state: str, offered: int
) -> None:
    acme = world.tenant("acme")
    domain = world.domain(acme.id, "acme.example", state=state)
    world.shard(acme.id, "s1.acme.example", domain_id=domain.id)
    directory.refresh()
    assert len(directory.shards_of(acme.id, "production")) == offered


def test_the_holder_of_a_contested_domain_is_found_and_its_keys_alone(
    world: World, directory: Directory
) -> None:
    acme, evil = world.tenant("acme"), world.tenant("evil")
    claim = world.domain(evil.id, "acme.example", state="pending")
    world.key(claim, "s1")
    domain = world.domain(acme.id, "acme.example", state="active")
    key = world.key(domain, "s1")
    directory.refresh()
    found = directory.domain("acme.example")
    assert found is not None
    assert found.tenant_id == acme.id
    assert [one.id for one in directory.keys_of("acme.example")] == [key.id]
    own = directory.domain("acme.example", evil.id)
    assert own is not None
    assert own.id == claim.id


async def test_an_identity_and_every_reason_to_refuse_one(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    account = world.account(
        acme, world.domain(acme.id, "acme.example"), "Anna@acme.example", "a@acme.example"
    )
    password = credential(world, account)
    assert directory.identity_now(account.id, password.id) is None
    directory.refresh()
    identity = await directory.identity(account.id, password.id, "smtp")
    assert isinstance(identity, Identity)
    assert identity.account.aliases == ("a@acme.example",)
    assert identity.credential is not None
    assert (identity.tenant.id, identity.policy.name) == (acme.id, "default")
    assert identity.credential.id == password.id
    assert directory.identity_now(account.id, password.id) is identity
    by_account = await directory.identity(account.id, None)
    assert isinstance(by_account, Identity)
    assert by_account.credential is None

    def now(protocol: str | None = "smtp") -> object:
        found = directory.identity_now(account.id, password.id, protocol)
        return found.reason if isinstance(found, Refused) else found

    async def after(kind: str, row: Any, **values: Any) -> object:
        world.update(kind, row, **values)
        directory.refresh()
        found = await directory.identity(account.id, password.id, "smtp")
        assert now() == (found.reason if isinstance(found, Refused) else found)
        return now()

    assert now("imap") is RefusedReason.PROTOCOL_OFF
    await after("account", account, imap=True)
    assert now("imap") is RefusedReason.SCOPE
    assert await after("account", account, smtp=False) is RefusedReason.PROTOCOL_OFF
    assert await after("account", account, smtp=True, status="suspended") is RefusedReason.ACCOUNT_SUSPENDED
    assert await after("account", account, status="active") != RefusedReason.ACCOUNT_SUSPENDED
    assert await after("tenant", acme.row, status="suspended") is RefusedReason.TENANT_SUSPENDED
    assert isinstance(await after("tenant", acme.row, status="active"), Identity)
    world.update("credential", password, expires_at=1.0)
    assert await after("account", account) is RefusedReason.EXPIRED
    world.update("credential", password, expires_at=None, revoked_at=1.0)
    assert await after("account", account) is RefusedReason.REVOKED
    assert await directory.identity(world.ids.uuid(), None) == Refused(RefusedReason.UNKNOWN)


async def test_a_moved_account_gets_its_new_workspaces_policy(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    account = world.account(acme, world.domain(acme.id, "acme.example"), "anna@acme.example")
    directory.refresh()
    before = await directory.identity(account.id, None)
    assert isinstance(before, Identity)
    strict = world.workspace(acme.id, "strict", policy="strict")
    world.update("account", account, workspace_id=strict.id)
    # Without a refresh: memory is a moment behind, and the old answer stands.
    assert directory.identity_now(account.id, None) is before
    directory.refresh()
    after = await directory.identity(account.id, None)
    assert isinstance(after, Identity)
    assert (after.workspace.id, after.policy.name) == (strict.id, "strict")
    assert after.revision > before.revision


async def test_an_account_newer_than_memory_is_not_refused(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    account = world.account(acme, world.domain(acme.id, "acme.example"), "anna@acme.example")
    found = await directory.identity(account.id, None)
    assert isinstance(found, Identity)
    assert directory.tenant(acme.id) is not None


async def test_logins(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    domain = world.domain(acme.id, "acme.example")
    account = world.account(acme, domain, "Anna@acme.example", "alias@acme.example")
    directory.refresh()
    for login in ("anna@acme.example", "ANNA@ACME.EXAMPLE", account.id, account.id.upper()):
        found = await directory.find_login(login)
        assert found is not None, login
        assert found.id == account.id
    for login in ("alias@acme.example", "bert@acme.example", world.ids.uuid(), "x\0y@\udcff", ""):
        assert await directory.find_login(login) is None, login
    bert = world.account(acme, domain, "bert@acme.example")
    directory.refresh()
    found = await directory.find_login("bert@acme.example")
    assert found is not None
    assert found.id == bert.id


async def test_logins_and_identities_cost_no_query_twice(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    account = world.account(acme, world.domain(acme.id, "acme.example"), "anna@acme.example")
    directory.refresh()
    for _ in range(2):
        assert await directory.find_login("anna@acme.example")
        assert await directory.find_login("nobody@acme.example") is None
        assert isinstance(await directory.identity(account.id, None), Identity)
        directory._store.account = directory._store.account_of_login = _no_query  # type: ignore[method-assign,assignment]


def _no_query(*args: object, **options: object) -> Any:
    raise AssertionError("the database was asked again")


async def test_the_number_of_accounts_in_memory_is_bounded(world: World) -> None:
    directory = world.directory(most_accounts=3)
    directory.refresh()
    acme = world.tenant("acme")
    domain = world.domain(acme.id, "acme.example")
    accounts = [world.account(acme, domain, f"user{n}@acme.example") for n in range(5)]
    directory.refresh()
    for account in accounts:
        assert isinstance(await directory.identity(account.id, None), Identity)
    assert len(directory._accounts) == 3
    assert directory.identity_now(accounts[0].id, None) is None
    assert isinstance(await directory.identity(accounts[0].id, None), Identity)
    directory.stop()


async def test_what_accounts_have_in_common_is_in_memory_once(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    domain = world.domain(acme.id, "acme.example")
    accounts = [world.account(acme, domain, f"user{n}@acme.example") for n in range(2)]
    directory.refresh()
    first, second = [await directory.identity(account.id, None) for account in accounts]
    assert isinstance(first, Identity)
    assert isinstance(second, Identity)
    for name in ("tenant_id", "workspace_id", "environment", "status", "home_location"):
        assert getattr(first.account, name) is getattr(second.account, name)


async def test_what_a_reader_saw_before_a_change_is_not_kept(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    account = world.account(acme, world.domain(acme.id, "acme.example"), "anna@acme.example")
    directory.refresh()
    store, read = directory._store, directory._store.account
    reads = []

    def slow(account_id: str) -> Any:
        found = read(account_id)
        reads.append(found)
        if len(reads) == 1:
            # The answer is on its way; meanwhile the account is suspended, and the change applied.
            world.update("account", account, status="suspended")
            directory.refresh()
        return found

    store.account = slow  # type: ignore[method-assign]
    assert await directory.identity(account.id, None) == Refused(RefusedReason.ACCOUNT_SUSPENDED)
    assert len(reads) == 2


def test_a_pruned_log_is_a_reason_to_read_everything(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    directory.refresh()
    told: list[tuple[Change, ...]] = []
    directory.subscribe(lambda _, changes: told.append(changes))
    world.update("tenant", acme.row, name="acme two")
    world.update("tenant", acme.row, name="acme three")
    with world.database.write() as connection:
        connection.execute(sa.delete(ChangeRow).where(ChangeRow.revision <= directory.revision + 1))
    directory.refresh()
    found = directory.tenant(acme.id)
    assert found is not None
    assert found.name == "acme three"
    assert told == [(Change(RELOADED, ""),)]


def test_an_older_database_put_back_is_read_whole(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    directory.refresh()
    with world.database.write() as connection:
        connection.execute(sa.text("UPDATE control_head SET revision = 1"))
        connection.execute(sa.text("UPDATE tenants SET name = 'old'"))
    directory.refresh()
    found = directory.tenant(acme.id)
    assert found is not None
    assert found.name == "old"
    assert directory.revision == 1


async def test_subscribers_are_called_on_the_loop(world: World) -> None:
    directory = world.directory()
    told: asyncio.Queue[tuple[int, tuple[Change, ...]]] = asyncio.Queue()
    directory.start(asyncio.get_running_loop())
    unsubscribe = directory.subscribe(lambda revision, changes: told.put_nowait((revision, changes)))
    acme = await asyncio.to_thread(world.tenant)
    revision, changes = await asyncio.wait_for(told.get(), 5)
    assert changes[0] == Change("tenant", acme.id, None, None)
    assert directory.revision >= revision
    assert directory.tenant(acme.id) is not None
    unsubscribe()
    await asyncio.to_thread(directory.stop)


def test_another_processs_change_is_seen(world: World, control_url: str) -> None:
    acme = world.tenant("acme")
    directory = world.directory()
    directory.start()
    go_reads, go_writes = os.pipe()
    done_reads, done_writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.read(go_reads, 1)
            with Database.open(control_url, purpose="control") as database:
                World.reopened(database).update("tenant", acme.row, status="suspended")
                os.write(done_writes, repr(time.monotonic()).encode())
        finally:
            os._exit(0)
    os.close(done_writes)
    assert _status(directory, acme.id) == "active"
    os.write(go_writes, b"!")
    committed_at = float(os.read(done_reads, 100))
    _wait_until(lambda: _status(directory, acme.id) == "suspended", committed_at + 10.0)
    os.waitpid(pid, 0)
    directory.stop()
    for fd in (go_reads, go_writes, done_reads):
        os.close(fd)


def test_freshness_ends_two_seconds_after_the_last_answer_and_returns(world: World) -> None:
    clock = ManualClock()
    directory = world.directory(clock)
    acme = world.tenant("acme")
    account = world.account(acme, world.domain(acme.id, "acme.example"), "anna@acme.example")
    assert not directory.is_fresh()
    directory.refresh()
    assert asyncio.run(_identity(directory, account.id)) is True
    clock.advance(1.9)
    assert directory.is_fresh()
    clock.advance(0.2)
    assert not directory.is_fresh()
    assert directory.identity_now(account.id, None) == Refused(RefusedReason.UNAVAILABLE)
    assert directory.refresh()
    assert directory.is_fresh()
    directory.stop()


def test_a_change_noticed_before_an_error_is_read_after_it(world: World, directory: Directory) -> None:
    acme = world.tenant("acme")
    directory.refresh()
    read, failures = world.database.read, [1]

    def failing() -> Any:
        if failures:
            failures.pop()
            raise DatabaseAway("the control database is away")
        return read()

    world.database.read = failing  # type: ignore[method-assign]
    world.update("tenant", acme.row, status="suspended")
    with pytest.raises(DatabaseAway):
        directory.refresh()
    directory.refresh()
    assert _status(directory, acme.id) == "suspended"


def test_connections_that_are_cut_do_not_end_the_following(world: World) -> None:
    acme = world.tenant("acme")
    directory = world.directory()
    directory.start()
    if world.database.dialect == "postgresql":
        with world.database.engine.connect() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
    else:
        directory._store.close()
    world.database.engine.dispose()
    world.update("tenant", acme.row, status="suspended")
    _wait_until(lambda: _status(directory, acme.id) == "suspended", time.monotonic() + 2.0)
    assert directory.is_fresh()
    directory.stop()


def test_a_changed_policy_document_binds_within_a_second(world: World, tmp_path: Path) -> None:
    policies = PolicyService(world.writes)
    with world.writes.change(ACTOR) as change:
        policies.load_defaults(change)
    acme = world.tenant("acme")
    world.update("workspace", acme.workspace, policy="default")
    directory = Directory(world.database, clock=world.clock)
    directory.start()
    assert _messages_per_day(directory, acme) != 7
    (tmp_path / "default.toml").write_text("[limits.account]\nmessages_per_day = 7\n")
    policies.apply(ACTOR, tmp_path / "default.toml")
    _wait_until(lambda: _messages_per_day(directory, acme) == 7, time.monotonic() + 10.0)
    directory.stop()


def test_before_bootstrap_there_is_no_platform(directory: Directory) -> None:
    with pytest.raises(LookupError, match="platform"):
        _ = directory.platform
    with pytest.raises(LookupError):
        directory.effective_policy("t", "w")


async def _identity(directory: Directory, account_id: str) -> bool:
    return isinstance(await directory.identity(account_id, None), Identity)


def _messages_per_day(directory: Directory, tenant: Any) -> int | None:
    return directory.effective_policy(tenant.id, tenant.workspace.id).account.messages_per_day.value


def _status(directory: Directory, tenant_id: str) -> str:
    tenant = directory.tenant(tenant_id)
    assert tenant is not None
    return tenant.status


def _wait_until(condition: Callable[[], bool], deadline: float) -> None:
    while not condition():
        assert time.monotonic() < deadline, "not seen in time"
        time.sleep(0.005)
