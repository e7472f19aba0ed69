"""Who may come in: login and password in, an identity or a denial out."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.control.credentials.format import chosen_password_tag, parse_password
from gateway.control.credentials.guesses import GuessTable
from gateway.control.credentials.guessrules import SHORTEST_DELAY_SECONDS, GuessVerdict, origin_of
from gateway.control.credentials.hashing import DUMMY_HASH, HashPool, PoolBusyError, verify_password
from gateway.control.credentials.signin import Accepted, Denied, SignIn, SignInOutcome, SignInSink
from gateway.control.credentials.verified import VerifiedPasswords
from gateway.control.directory import RELOADED, Change, Refused, RefusedReason, login_name
from gateway.system.clock import Clock
from gateway.system.database import DatabaseAway

if TYPE_CHECKING:
    from gateway.control.records import AccountRecord, CredentialRecord, Identity

LONGEST_PASSWORD = 256


class LoginDirectory(Protocol):
    """What a login asks of the directory."""

    def is_fresh(self) -> bool:
        """Whether what is in memory was confirmed lately."""
        ...

    async def find_login(self, login: str) -> AccountRecord | None:
        """The account with this address (any case) or grant id."""
        ...

    async def credentials_of(self, account_id: str) -> tuple[CredentialRecord, ...]:
        """The account's credentials, live ones first."""
        ...

    async def identity(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused:
        """Who this is, or why not."""
        ...

    def subscribe(self, callback: Callable[[int, tuple[Change, ...]], None]) -> Callable[[], None]:
        """Be told of changes."""
        ...


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One login, in the forms the steps need. The password is kept out of printed forms."""

    name: str
    password: str
    protocol: str
    address: str
    account: AccountRecord | None
    candidate: CredentialRecord | None

    def __repr__(self) -> str:
        return f"_Attempt(name={self.name!r}, protocol={self.protocol!r}, address={self.address!r})"


@dataclass(frozen=True, slots=True)
class _Answer:
    """Whether the password was right; a wrong one is already counted, and costs a delay."""

    right: bool
    delay_seconds: float


class Authenticator:
    """Checks logins: at most one argon2 run each, and exactly one before a neutral refusal.

    One for each process, made after the fork; `guesses` is the node's, made before it. `sink` takes every
    attempt that names an existing account.
    """

    def __init__(
        self,
        directory: LoginDirectory,
        guesses: GuessTable,
        pool: HashPool,
        *,
        tag_key: bytes,
        clock: Clock,
        sink: SignInSink,
        verify_hash: Callable[[str, str], bool] = verify_password,
    ) -> None:
        """`tag_key`: the master key's sub-key `credential-tag`; `verify_hash`: argon2, but for tests."""
        self._directory = directory
        self._guesses = guesses
        self._pool = pool
        self._tag_key = tag_key
        self._clock = clock
        self._sink = sink
        self._verify_hash = verify_hash
        self._verified = VerifiedPasswords(clock)
        self._running: dict[tuple[bytes, bytes, str], asyncio.Task[_Answer | None]] = {}
        self._unsubscribe = directory.subscribe(self._forget_changed)

    async def verify(self, login: str, password: str, *, protocol: str, address: str) -> Accepted | Denied:
        """Who `login` with `password` is, over `protocol` (`smtp` or `imap`), from the client's `address`.

        Never raises for what a client sends; a database that is away is a temporary denial.
        """
        if not self._directory.is_fresh():
            return Denied(SignInOutcome.UNAVAILABLE)
        name = login_name(login)
        try:
            account = await self._directory.find_login(name)
            candidate = await self._candidate(account, password)
            attempt = _Attempt(name, password, protocol, address, account, candidate)
            result = await self._decide(attempt)
        except DatabaseAway:
            return Denied(SignInOutcome.UNAVAILABLE)
        matched = _was_right(result)
        self._report(attempt, result.reason if isinstance(result, Denied) else None, matched)
        return result

    def close(self) -> None:
        """Stop listening to the directory; the pool is its maker's to close."""
        self._unsubscribe()
        self._verified.clear()

    async def _decide(self, attempt: _Attempt) -> Accepted | Denied:
        before = self._guesses.check(attempt.name, attempt.address)
        if before.denied:
            return Denied(SignInOutcome.TOO_MANY_GUESSES, SHORTEST_DELAY_SECONDS)
        try:
            answer = await self._ask(attempt)
        except PoolBusyError:
            return Denied(SignInOutcome.BUSY)
        if answer is None:
            return Denied(SignInOutcome.TOO_MANY_GUESSES, SHORTEST_DELAY_SECONDS)
        if not answer.right or attempt.account is None or attempt.candidate is None:
            return Denied(SignInOutcome.WRONG_CREDENTIALS, answer.delay_seconds)
        return await self._admit(attempt, attempt.account, attempt.candidate, before)

    async def _candidate(self, account: AccountRecord | None, password: str) -> CredentialRecord | None:
        """The one credential whose hash is worth a look: by key id, or by the short tag."""
        made = parse_password(password)
        account_id = account.id if account is not None else ""
        tag = chosen_password_tag(self._tag_key, account_id, password)
        if account is None:
            return None
        for credential in await self._directory.credentials_of(account.id):
            if made is not None and credential.key_id is not None:
                if credential.key_id == made.key_id:
                    return credential
            elif made is None and credential.tag == tag:
                return credential
        return None

    async def _ask(self, attempt: _Attempt) -> _Answer | None:
        """Whether the candidate's hash is the password's; one argon2 run unless it was right lately.

        None: meanwhile too many were wrong, and it was not looked at.
        """
        octets = attempt.password.encode("utf-8", "surrogatepass")[: 4 * LONGEST_PASSWORD]
        account_id = attempt.account.id if attempt.account is not None else "?" + attempt.name
        mark = self._verified.mark(account_id, octets)
        known = self._verified.credential_of(mark)
        if known is not None and attempt.candidate is not None and known == attempt.candidate.id:
            return _Answer(True, 0.0)
        # Fifty connections of one client that start together are one question, and cost one run.
        wanted = attempt.candidate.id if attempt.candidate is not None else ""
        flight = (mark, origin_of(attempt.address).address, wanted)
        task = self._running.get(flight)
        if task is None:
            task = asyncio.ensure_future(self._run_hash(attempt))
            self._running[flight] = task
            task.add_done_callback(lambda done: self._land(flight, done))
        answer = await asyncio.shield(task)
        if answer is not None and answer.right and attempt.candidate is not None:
            self._verified.remember(mark, attempt.candidate.account_id, attempt.candidate.id)
        return answer

    def _land(self, flight: tuple[bytes, bytes, str], task: asyncio.Task[_Answer | None]) -> None:
        self._running.pop(flight, None)
        # Looked at here, for the case that all who asked have hung up: it is no unheard error.
        if not task.cancelled():
            task.exception()

    async def _run_hash(self, attempt: _Attempt) -> _Answer | None:
        encoded = attempt.candidate.hash if attempt.candidate is not None else DUMMY_HASH
        if len(attempt.password) > LONGEST_PASSWORD:
            encoded = DUMMY_HASH
        password = attempt.password[:LONGEST_PASSWORD]

        def job() -> _Answer | None:
            # Looked at as late and counted as early as can be: what waited in the queue together must not
            # slip past a ceiling together.
            if self._guesses.check(attempt.name, attempt.address).denied:
                return None
            if self._verify_hash(encoded, password):
                return _Answer(True, 0.0)
            after = self._guesses.wrong(attempt.name, attempt.address, attempt.password)
            return _Answer(False, after.delay_seconds)

        return await self._pool.run(job, owner=origin_of(attempt.address).address)

    async def _admit(
        self, attempt: _Attempt, account: AccountRecord, credential: CredentialRecord, before: GuessVerdict
    ) -> Accepted | Denied:
        """The password is right: let in, or say truly why not."""
        found = await self._directory.identity(account.id, credential.id, attempt.protocol)
        if isinstance(found, Refused):
            if found.reason in (RefusedReason.REVOKED, RefusedReason.UNKNOWN):
                # What is gone looks like what never was.
                after = self._guesses.wrong(attempt.name, attempt.address, attempt.password)
                return Denied(SignInOutcome.REVOKED, after.delay_seconds)
            return Denied(SignInOutcome(found.reason.value), before.delay_seconds)
        if not is_in_networks(attempt.address, credential.networks):
            return Denied(SignInOutcome.NETWORK, before.delay_seconds)
        self._guesses.right(attempt.name, attempt.address)
        return Accepted(found, before.delay_seconds)

    def _report(self, attempt: _Attempt, denied: SignInOutcome | None, matched: bool) -> None:
        if attempt.account is None:
            return
        self._sink(
            SignIn(
                account_id=attempt.account.id,
                tenant_id=attempt.account.tenant_id,
                at=self._clock.now(),
                protocol=attempt.protocol,
                address=attempt.address,
                outcome=denied or SignInOutcome.ACCEPTED,
                credential_id=attempt.candidate.id if matched and attempt.candidate is not None else None,
            )
        )

    def _forget_changed(self, _revision: int, changes: tuple[Change, ...]) -> None:
        for change in changes:
            if change.kind == RELOADED:
                self._verified.clear()
            elif change.account_id is not None:
                self._verified.forget_account(change.account_id)


def is_in_networks(address: str, networks: tuple[str, ...]) -> bool:
    """Whether `address` is in one of `networks` (CIDR); no networks at all means any address."""
    if not networks:
        return True
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return any((mapped or parsed) in ipaddress.ip_network(network, strict=False) for network in networks)


def _was_right(result: Accepted | Denied) -> bool:
    """Whether the password was right, whatever came of it."""
    return isinstance(result, Accepted) or result.public or result.reason is SignInOutcome.REVOKED
