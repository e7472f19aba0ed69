"""Logging in with real hashes against a real directory, while another process changes things."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.control.credentials.authenticator import Authenticator
from gateway.control.credentials.guesses import GuessTable
from gateway.control.credentials.hashing import HashPool, verify_password
from gateway.control.credentials.service import CredentialService
from gateway.control.credentials.signin import Accepted, Denied, SignIn, SignInOutcome
from gateway.control.directory import Directory, Refused, RefusedReason
from gateway.control.records import Identity
from gateway.system.database import Database
from tests.integration.control.credentials.conftest import TAG_KEY, House
from tests.integration.control.directory.world import ACTOR, World

HOME = "192.0.2.1"


class Door:
    """A started directory on a database of its own, as a worker has it, with an authenticator."""

    def __init__(self, database: Database, house: House) -> None:
        self.world = World.reopened(database)
        self.directory: Directory = self.world.directory()
        self.guesses = GuessTable.create(self.world.clock, 1024)
        self.pool = HashPool()
        self.runs = 0
        self.seen: list[SignIn] = []
        self.house = house
        self.service = CredentialService(house.world.writes, tag_key=TAG_KEY)

    def start(self) -> None:
        self.directory.start(asyncio.get_running_loop())
        self.authenticator = Authenticator(
            self.directory,
            self.guesses,
            self.pool,
            tag_key=TAG_KEY,
            clock=self.world.clock,
            sink=self.seen.append,
            verify_hash=self.verify_hash,
        )

    def verify_hash(self, encoded: str, text: str) -> bool:
        self.runs += 1
        return verify_password(encoded, text)

    async def login(self, password: str, login: str = "anna@acme.example") -> Accepted | Denied:
        return await self.authenticator.verify(login, password, protocol="smtp", address=HOME)

    def stop(self) -> None:
        self.authenticator.close()
        self.directory.stop()
        self.pool.close()
        self.guesses.close()


@pytest.fixture
async def door(house: House, control_url: str) -> AsyncIterator[Door]:
    with Database.open(control_url, purpose="control") as database:
        made = Door(database, house)
        made.start()
        yield made
        await asyncio.to_thread(made.stop)


async def obeyed(condition: Callable[[], Any]) -> None:
    """It takes a fraction of a second; how long exactly is measured, not tested here."""
    deadline = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline, "not obeyed"
        await asyncio.sleep(0.005)


async def create(door: Door, **options: Any) -> tuple[str, str]:
    record, password = await asyncio.to_thread(
        lambda: door.service.create(ACTOR, door.house.account.id, **options)
    )
    return record.id, password


@pytest.mark.parametrize("chosen", [None, "Chosen-password-123"])
async def test_a_password_works_as_soon_as_it_is_made_and_costs_one_run(
    door: Door, chosen: str | None
) -> None:
    assert isinstance(await door.login("Wrong-password-123"), Denied)
    credential_id, password = await create(door, chosen=chosen)
    revision = door.house.world.directory().refresh()
    await obeyed(lambda: door.directory.revision >= revision)
    runs = door.runs
    for _ in range(3):
        result = await door.login(password)
        assert isinstance(result, Accepted)
        assert result.identity.credential is not None
        assert result.identity.credential.id == credential_id
    assert door.runs == runs + 1
    assert [one.outcome for one in door.seen] == [SignInOutcome.WRONG_CREDENTIALS] + [
        SignInOutcome.ACCEPTED
    ] * 3


async def test_a_revoked_password_bites_an_open_session_and_the_next_login(door: Door) -> None:
    credential_id, password = await create(door)
    await asyncio.to_thread(door.directory.refresh)
    accepted = await door.login(password)
    assert isinstance(accepted, Accepted)
    account_id = accepted.identity.account.id
    assert isinstance(door.directory.identity_now(account_id, credential_id, "smtp"), Identity)
    await asyncio.to_thread(door.service.revoke, ACTOR, credential_id)
    await obeyed(lambda: door.directory.identity_now(account_id, credential_id, "smtp") is None)
    assert await door.directory.identity(account_id, credential_id, "smtp") == Refused(RefusedReason.REVOKED)
    runs = door.runs
    denied = await door.login(password)
    assert isinstance(denied, Denied)
    assert (denied.reason, denied.public) == (SignInOutcome.REVOKED, False)
    assert door.runs == runs + 1


@pytest.mark.parametrize(
    ("kind", "values", "reason"),
    [
        ("account", {"smtp": False}, SignInOutcome.PROTOCOL_OFF),
        ("account", {"status": "suspended"}, SignInOutcome.ACCOUNT_SUSPENDED),
        ("tenant", {"status": "suspended"}, SignInOutcome.TENANT_SUSPENDED),
    ],
)
async def test_a_switch_turned_off_bites_within_a_second(
    door: Door, kind: str, values: dict[str, Any], reason: SignInOutcome
) -> None:
    credential_id, password = await create(door)
    # Applied later, the password's own creation would forget the account, and look like the switch.
    await asyncio.to_thread(door.directory.refresh)
    accepted = await door.login(password)
    assert isinstance(accepted, Accepted)
    house = door.house
    row = house.account if kind == "account" else house.tenant.row
    await asyncio.to_thread(house.world.update, kind, row, **values)
    account_id = house.account.id
    await obeyed(
        lambda: not isinstance(door.directory.identity_now(account_id, credential_id, "smtp"), Identity)
    )
    found = await door.directory.identity(account_id, credential_id, "smtp")
    assert isinstance(found, Refused)
    assert found.reason.value == reason.value
    denied = await door.login(password)
    assert isinstance(denied, Denied)
    assert (denied.reason, denied.public) == (reason, True)
    assert door.seen[-1].outcome is reason


async def test_a_database_that_is_away_is_a_temporary_denial(door: Door) -> None:
    _, password = await create(door)
    assert isinstance(await door.login(password), Accepted)
    door.directory._watch.stop()
    door.directory._confirmed_at -= 3
    denied = await door.login(password)
    assert isinstance(denied, Denied)
    assert denied.temporary
