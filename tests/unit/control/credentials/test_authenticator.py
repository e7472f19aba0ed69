"""Logins against a directory in memory; argon2 is replaced by a comparison that counts its runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from gateway.control.credentials.authenticator import Authenticator, is_in_networks
from gateway.control.credentials.format import chosen_password_tag, make_password
from gateway.control.credentials.guesses import GuessTable
from gateway.control.credentials.hashing import DUMMY_HASH, HashPool
from gateway.control.credentials.signin import NEUTRAL_TEXT, Accepted, Denied, SignIn, SignInOutcome
from gateway.control.directory import RELOADED, Change, Refused, RefusedReason
from gateway.control.directory.directory import refusal
from gateway.control.records import AccountRecord, CredentialRecord, Identity, TenantRecord, WorkspaceRecord
from gateway.system.clock import ManualClock
from gateway.system.database import DatabaseAway

ANNA = "anna@example.com"
HOME = "192.0.2.1"
TAG_KEY = b"k" * 32
CHOSEN = "Chosen-password-123"


class StubDirectory:
    """One tenant, one account, its credentials; what a test changes holds at once."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.fresh = True
        self.away = False
        self.tenant = TenantRecord("t", "Tenant", "standard", "active", False, "w")
        self.workspace = WorkspaceRecord("w", "w", "t", "production", "default", "default", True)
        self.account = AccountRecord(
            "00000000-0000-7000-8000-00000000000a",
            "t",
            "w",
            ANNA,
            (),
            None,
            "active",
            True,
            True,
            1,
            "default",
            0.0,
        )
        self.credentials: tuple[CredentialRecord, ...] = ()
        self.callbacks: list[Callable[[int, tuple[Change, ...]], None]] = []

    def add(self, password: str, **changes: Any) -> CredentialRecord:
        key_id = password[3:10] if password.startswith("gp_") else None
        record = CredentialRecord(
            id=f"credential-{len(self.credentials)}",
            account_id=self.account.id,
            tenant_id="t",
            key_id=key_id,
            tag=None if key_id else chosen_password_tag(TAG_KEY, self.account.id, password),
            hash="hash of " + password,
            scopes=frozenset({"smtp", "imap"}),
            label=None,
            expires_at=None,
            networks=(),
            stream=None,
            revoked_at=None,
            created_at=0.0,
        )
        record = replace(record, **changes)
        self.credentials = (*self.credentials, record)
        return record

    def tell(self, *changes: Change) -> None:
        for callback in self.callbacks:
            callback(1, changes)

    def is_fresh(self) -> bool:
        return self.fresh

    async def find_login(self, login: str) -> AccountRecord | None:
        if self.away:
            raise DatabaseAway("away")
        return self.account if login in (ANNA, self.account.id) else None

    async def credentials_of(self, account_id: str) -> tuple[CredentialRecord, ...]:
        return self.credentials

    async def identity(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused:
        for credential in self.credentials:
            if credential.id == credential_id:
                if credential.revoked_at is not None:
                    return Refused(RefusedReason.REVOKED)
                found = Identity(self.account, self.tenant, self.workspace, cast(Any, None), credential, 1)
                reason = refusal(found, protocol, self.clock.now())
                return found if reason is None else Refused(reason)
        return Refused(RefusedReason.REVOKED)

    def subscribe(self, callback: Callable[[int, tuple[Change, ...]], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)


class House:
    """An authenticator with all that it stands on, and counts of what it did."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.directory = StubDirectory(self.clock)
        self.guesses = GuessTable.create(self.clock, 4096)
        self.pool = HashPool(threads=2, places=8)
        self.runs: list[str] = []
        self.gate: threading.Event | None = None
        self.seen: list[SignIn] = []
        self.authenticator = Authenticator(
            self.directory,
            self.guesses,
            self.pool,
            tag_key=TAG_KEY,
            clock=self.clock,
            sink=self.seen.append,
            verify_hash=self.compare,
        )

    def compare(self, encoded: str, text: str) -> bool:
        if self.gate is not None:
            assert self.gate.wait(10)
        self.runs.append(encoded)
        return encoded == "hash of " + text

    async def verify(
        self, password: str, login: str = ANNA, address: str = HOME, protocol: str = "smtp"
    ) -> Accepted | Denied:
        return await self.authenticator.verify(login, password, protocol=protocol, address=address)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    made.authenticator.close()
    await asyncio.to_thread(made.pool.close)
    made.guesses.close()


@pytest.fixture
def password(house: House) -> str:
    text = make_password(lambda n: bytes(range(40, 40 + n))).text
    house.directory.add(text)
    return text


@pytest.mark.parametrize("login", [ANNA, "ANNA@Example.COM", "00000000-0000-7000-8000-00000000000A"])
async def test_the_right_password_lets_in(house: House, password: str, login: str) -> None:
    result = await house.verify(password, login)
    assert isinstance(result, Accepted)
    assert result.identity.account is house.directory.account
    assert result.identity.credential is house.directory.credentials[0]
    assert house.seen == [
        SignIn(
            house.directory.account.id,
            "t",
            house.clock.now(),
            "smtp",
            HOME,
            SignInOutcome.ACCEPTED,
            "credential-0",
        )
    ]


async def test_a_chosen_password_is_found_by_its_tag(house: House, password: str) -> None:
    house.directory.add("Another-password-99")
    house.directory.add(CHOSEN)
    assert isinstance(await house.verify(CHOSEN), Accepted)
    assert house.runs == ["hash of " + CHOSEN]


@pytest.mark.parametrize(
    ("login", "guess"),
    [
        (ANNA, "gp_" + "A" * 35),
        (ANNA, make_password(lambda n: bytes(range(80, 80 + n))).text),
        (ANNA, "Wrong-password-123"),
        (ANNA, ""),
        (ANNA, "x" * 10_000),
        (ANNA, "\udcff\x00"),
        ("nobody@example.com", "Wrong-password-123"),
        ("nobody@example.com", make_password(lambda n: bytes(range(40, 40 + n))).text),
        ("00000000-0000-7000-8000-00000000000b", "x"),
        ("", ""),
        ("\x00@\udcff", "x"),
    ],
)
async def test_every_neutral_refusal_costs_one_run_and_sounds_the_same(
    house: House, password: str, login: str, guess: str
) -> None:
    result = await house.verify(guess, login)
    assert isinstance(result, Denied)
    assert (result.public, result.temporary, result.delay_seconds) == (False, False, 0.0)
    assert result.text == NEUTRAL_TEXT
    assert house.runs == [DUMMY_HASH]
    assert [one.outcome for one in house.seen] == ([SignInOutcome.WRONG_CREDENTIALS] if login == ANNA else [])


async def test_the_right_key_id_with_a_wrong_secret_costs_one_run(house: House, password: str) -> None:
    other = make_password(lambda n: bytes(range(40, 47)) + bytes(range(70, 63 + n))).text
    assert other[3:10] == password[3:10]
    result = await house.verify(other)
    assert isinstance(result, Denied)
    assert house.runs == ["hash of " + password]


async def test_a_verification_is_remembered_until_something_changes(house: House, password: str) -> None:
    for _ in range(3):
        assert isinstance(await house.verify(password), Accepted)
    assert len(house.runs) == 1
    house.directory.tell(Change("account", house.directory.account.id, "t", house.directory.account.id))
    assert isinstance(await house.verify(password), Accepted)
    assert len(house.runs) == 2
    house.directory.tell(Change(RELOADED, ""))
    assert isinstance(await house.verify(password), Accepted)
    assert len(house.runs) == 3
    house.clock.advance(301)
    assert isinstance(await house.verify(password), Accepted)
    assert len(house.runs) == 4


async def test_a_revoked_password_is_like_none_although_remembered(house: House, password: str) -> None:
    assert isinstance(await house.verify(password), Accepted)
    record = house.directory.credentials[0]
    house.directory.credentials = (replace(record, revoked_at=1.0),)
    result = await house.verify(password)
    assert isinstance(result, Denied)
    assert not result.public
    assert result.text == NEUTRAL_TEXT
    assert house.seen[-1].outcome is SignInOutcome.REVOKED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tenant": {"status": "suspended"}}, SignInOutcome.TENANT_SUSPENDED),
        ({"account": {"status": "suspended"}}, SignInOutcome.ACCOUNT_SUSPENDED),
        ({"account": {"smtp": False}}, SignInOutcome.PROTOCOL_OFF),
        ({"credential": {"scopes": frozenset({"imap"})}}, SignInOutcome.SCOPE),
        ({"credential": {"expires_at": 5.0}}, SignInOutcome.EXPIRED),
        ({"credential": {"networks": ("198.51.100.0/24",)}}, SignInOutcome.NETWORK),
    ],
)
async def test_the_truth_only_after_the_right_password(
    house: House, password: str, change: dict[str, dict[str, Any]], reason: SignInOutcome
) -> None:
    directory = house.directory
    if "credential" in change:
        directory.credentials = (replace(directory.credentials[0], **change["credential"]),)
    else:
        for name, values in change.items():
            setattr(directory, name, replace(getattr(directory, name), **values))
    wrong = await house.verify("Wrong-password-123")
    assert isinstance(wrong, Denied)
    assert wrong.text == NEUTRAL_TEXT
    right = await house.verify(password)
    assert isinstance(right, Denied)
    assert right.reason is reason
    assert (right.public, right.temporary) == (True, False)
    assert right.text != NEUTRAL_TEXT
    assert house.seen[-1].outcome is reason
    assert house.seen[-1].credential_id == "credential-0"


async def test_ten_wrong_in_a_minute_are_enough_and_the_right_one_does_not_tell(
    house: House, password: str
) -> None:
    delays = []
    for n in range(10):
        result = await house.verify(f"Wrong-password-{n}")
        assert isinstance(result, Denied)
        assert result.reason is SignInOutcome.WRONG_CREDENTIALS
        delays.append(result.delay_seconds)
    assert delays == sorted(delays)
    assert delays[0] == 0
    assert delays[4] > 0
    runs = len(house.runs)
    for guess in ("Wrong-password-again", password):
        result = await house.verify(guess)
        assert isinstance(result, Denied)
        assert result.reason is SignInOutcome.TOO_MANY_GUESSES
        assert result.temporary
    assert len(house.runs) == runs
    assert house.seen[-1].outcome is SignInOutcome.TOO_MANY_GUESSES
    assert isinstance(await house.verify(password, address="203.0.113.5"), Accepted)


async def test_unknown_logins_count_like_known_ones(house: House, password: str) -> None:
    for n in range(10):
        await house.verify(f"Wrong-password-{n}", "nobody@example.com")
    result = await house.verify("Wrong-password-10", "nobody@example.com")
    assert isinstance(result, Denied)
    assert result.reason is SignInOutcome.TOO_MANY_GUESSES


async def test_a_login_attacked_from_everywhere_is_slowed_and_not_locked(house: House, password: str) -> None:
    assert isinstance(await house.verify(password), Accepted)
    for n in range(40):
        await house.verify(f"Wrong-password-{n}", address=f"10.{n}.0.1")
    house.clock.advance(1)
    elsewhere = await house.verify(password, address="203.0.113.5")
    assert isinstance(elsewhere, Accepted)
    assert elsewhere.delay_seconds == 15
    at_home = await house.verify(password)
    assert isinstance(at_home, Accepted)
    assert at_home.delay_seconds == 0


async def test_guesses_that_wait_together_do_not_slip_past_a_ceiling(house: House, password: str) -> None:
    house.pool.close()
    house.pool = house.authenticator._pool = HashPool(threads=1, places=200)
    house.gate = threading.Event()
    tries = [asyncio.ensure_future(house.verify(f"Wrong-password-{n}")) for n in range(60)]
    while house.pool.pending < 60:
        await asyncio.sleep(0)
    house.gate.set()
    await asyncio.gather(*tries)
    # One thread: what it began before the tenth was counted may run, nothing that waited behind it.
    assert len(house.runs) <= 12


async def test_fifty_connections_that_start_together_cost_one_run(house: House, password: str) -> None:
    house.gate = threading.Event()
    tries = [asyncio.ensure_future(house.verify(password)) for _ in range(50)]
    while not house.pool.pending:
        await asyncio.sleep(0)
    tries[0].cancel()
    house.gate.set()
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert all(isinstance(result, Accepted) for result in results[1:])
    assert len(house.runs) == 1


async def test_a_full_pool_is_a_temporary_denial(house: House, password: str) -> None:
    house.gate = threading.Event()
    tries = [
        asyncio.ensure_future(house.verify("Wrong-password", f"login-{n}", f"10.{n}.0.1")) for n in range(8)
    ]
    while house.pool.pending < 8:
        await asyncio.sleep(0)
    result = await house.verify(password)
    assert isinstance(result, Denied)
    assert result.reason is SignInOutcome.BUSY
    assert result.temporary
    house.gate.set()
    await asyncio.gather(*tries)


async def test_what_cannot_be_confirmed_is_a_temporary_denial(house: House, password: str) -> None:
    house.directory.away = True
    away = await house.verify(password)
    house.directory.away = False
    house.directory.fresh = False
    stale = await house.verify(password)
    for result in (away, stale):
        assert isinstance(result, Denied)
        assert result.reason is SignInOutcome.UNAVAILABLE
        assert result.temporary
    assert house.runs == []


@pytest.mark.parametrize(
    ("address", "networks", "inside"),
    [
        ("192.0.2.1", (), True),
        ("192.0.2.1", ("192.0.2.0/24",), True),
        ("::ffff:192.0.2.1", ("192.0.2.0/24",), True),
        ("192.0.3.1", ("192.0.2.0/24", "2001:db8::/32"), False),
        ("2001:db8::1%eth0", ("192.0.2.0/24", "2001:db8::/32"), True),
        ("", ("192.0.2.0/24",), False),
    ],
)
def test_networks(address: str, networks: tuple[str, ...], inside: bool) -> None:
    assert is_in_networks(address, networks) is inside
