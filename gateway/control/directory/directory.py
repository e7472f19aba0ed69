"""The control plane in memory, a second behind the database at most."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.engine import Connection

from gateway.control.directory.accounts import AccountCache, AccountEntry
from gateway.control.directory.model import (
    RELOADED,
    Change,
    Refused,
    RefusedReason,
    is_grant_id,
    login_name,
)
from gateway.control.directory.snapshot import Policies, Snapshot
from gateway.control.directory.store import DirectoryStore
from gateway.control.directory.watch import HeadWatch
from gateway.control.domains.model import HELD
from gateway.control.policies.effective import EffectivePolicy
from gateway.control.policies.store import read_policy_set
from gateway.control.records import (
    AccountRecord,
    CredentialRecord,
    DomainRecord,
    Identity,
    KeyRecord,
    ListsInReach,
    ShardRecord,
    TenantRecord,
    WorkspaceRecord,
)
from gateway.system.clock import Clock
from gateway.system.database import Database

T = TypeVar("T")

FRESH_SECONDS = 2.0
# Every process asks so often; PostgreSQL is asked over the network, SQLite by a look at shared memory.
POLL_SECONDS = {"sqlite": 0.1, "postgresql": 0.25}
_READ_TRIES = 5

Callback = Callable[[int, tuple[Change, ...]], None]


class Directory:
    """What the data plane knows of the control plane.

    Tenants, workspaces, domains, shards, keys, raised limits, lists and policies are in memory whole;
    accounts with their credentials are read when asked for and kept, the least recently used go. `start`
    reads everything and follows the change log in a thread of its own; make and start it after the fork.
    Without `start`, `refresh` does the same once: for the command line.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        read_policies: Callable[[Connection], Policies] = read_policy_set,
        most_accounts: int = 100_000,
    ) -> None:
        """`read_policies` reads all policy documents in a transaction; `most_accounts`: in memory."""
        self._store = DirectoryStore(database, read_policies, clock.now)
        self._clock = clock
        self._snapshot = Snapshot.empty()
        self._accounts = AccountCache(most_accounts)
        self._confirmed_at = float("-inf")
        self._loaded = False
        self._step_lock = threading.Lock()
        self._callbacks: list[Callback] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch = HeadWatch(self._step, POLL_SECONDS[database.dialect])
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="directory-read")

    # Life

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Read everything (blocking; raises DatabaseAway) and follow the changes.

        Subscribers are called in `loop`, or without one in the directory's own thread.
        """
        self._loop = loop
        self.refresh()
        self._watch.start()

    def stop(self) -> None:
        """Stop following, wait for the threads, close the connection."""
        self._watch.stop()
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._store.close()

    def wake(self) -> None:
        """Look for changes now: a hint, from any thread."""
        self._watch.wake()

    def refresh(self) -> int:
        """Apply what changed since the last time (blocking; raises DatabaseAway); the revision now held."""
        self._step()
        return self._snapshot.revision

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback(revision, changes)` after changes were applied; returns what ends that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    # What is in memory whole

    @property
    def revision(self) -> int:
        """The control revision that is held."""
        return self._snapshot.revision

    def is_fresh(self) -> bool:
        """Whether the database confirmed, less than 2 s ago, that nothing newer exists."""
        return self._clock.monotonic() - self._confirmed_at < FRESH_SECONDS

    def tenant(self, tenant_id: str) -> TenantRecord | None:
        """A tenant by id."""
        return self._snapshot.tenants.get(tenant_id)

    def workspace(self, workspace_id: str) -> WorkspaceRecord | None:
        """A workspace by id."""
        return self._snapshot.workspaces.get(workspace_id)

    def domain(self, name: str, tenant_id: str | None = None) -> DomainRecord | None:
        """A domain by its A-label name, in lower case: the claim of the tenant that holds it.

        Where nobody holds it, the oldest claim; with `tenant_id` that tenant's own claim, in any state.
        """
        claims = self._snapshot.domains.group(name)
        if tenant_id is not None:
            return next((claim for claim in claims if claim.tenant_id == tenant_id), None)
        for claim in claims:
            if claim.state in HELD:
                return claim
        return claims[0] if claims else None

    def domains_named(self, name: str) -> tuple[DomainRecord, ...]:
        """Every tenant's claim to a domain's A-label name, in lower case, the oldest first."""
        return self._snapshot.domains.group(name)

    def tenants(self) -> Iterable[TenantRecord]:
        """All tenants."""
        return self._snapshot.tenants

    def workspaces(self) -> Iterable[WorkspaceRecord]:
        """All workspaces."""
        return self._snapshot.workspaces

    def shards(self) -> Iterable[ShardRecord]:
        """All shards of all tenants."""
        return self._snapshot.shards

    def shards_of(self, tenant_id: str, environment: str) -> tuple[ShardRecord, ...]:
        """A tenant's shards in one environment, retired ones included.

        Those under a domain that is not proved are left out: no mail says that it comes from there.
        """
        domains = self._snapshot.domains
        return tuple(
            shard
            for shard in self._snapshot.shards.group((tenant_id, environment))
            if shard.domain_id is None or ((home := domains.get(shard.domain_id)) and home.may_send)
        )

    def shard(self, shard_id: str) -> ShardRecord | None:
        """A shard by id."""
        return self._snapshot.shards.get(shard_id)

    def keys_of(self, name: str) -> tuple[KeyRecord, ...]:
        """The DKIM keys of a domain or shard, in every state; never those of another claim to it."""
        domain = self.domain(name)
        own = self._snapshot.keys.group(domain.id) if domain is not None else ()
        return own + self._snapshot.keys.group(name)

    def key(self, key_id: str) -> KeyRecord | None:
        """A DKIM key by id."""
        return self._snapshot.keys.get(key_id)

    @property
    def platform(self) -> TenantRecord:
        """The tenant that owns the installation's own domain. Raises LookupError before bootstrap."""
        platform = self._snapshot.tenants.first(True)
        if platform is None:
            raise LookupError("the control database has no platform tenant; run `gatepost db upgrade`")
        return platform

    def effective_policy(self, tenant_id: str, workspace_id: str) -> EffectivePolicy:
        """What binds this tenant's accounts in this workspace. Raises LookupError if either is unknown."""
        snapshot = self._snapshot
        tenant, workspace = snapshot.tenants.get(tenant_id), snapshot.workspaces.get(workspace_id)
        if tenant is None or workspace is None:
            raise LookupError(f"no tenant {tenant_id} or no workspace {workspace_id} is known")
        return snapshot.effective_policy(tenant, workspace)

    def lists_of(self, tenant_id: str) -> ListsInReach:
        """The lists that a tenant's rules may name: its own and the shared ones."""
        return self._snapshot.lists_of(tenant_id)

    # Accounts

    def identity_now(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused | None:
        """Who this is now, from memory alone (microseconds); None when `identity` has to be asked.

        With `protocol` (`smtp`, `imap`) also whether its switch is on and the credential's scopes have it.
        """
        if not self.is_fresh():
            return Refused(RefusedReason.UNAVAILABLE)
        entry = self._accounts.get(account_id)
        return None if entry is None else self._judge(entry, credential_id, protocol)

    async def identity(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused:
        """Who this is now, read from the database if it must be. Raises DatabaseAway."""
        for _ in range(_READ_TRIES):
            found = self.identity_now(account_id, credential_id, protocol)
            if found is not None:
                return found
            entry = await self._entry(account_id)
            if entry is None:
                return Refused(RefusedReason.UNKNOWN)
            if self._judge(entry, credential_id, protocol) is None:
                # Its workspace or tenant is newer than what is in memory.
                await self._read(self.refresh)
        return Refused(RefusedReason.UNAVAILABLE)

    async def standing(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> tuple[Identity | None, Refused | None]:
        """Who this is, even where it may not act now, and why it may not. Raises DatabaseAway.

        There is no identity of an account that is not there, or of a credential that was revoked.
        """
        answer = await self.identity(account_id, credential_id, protocol)
        if not isinstance(answer, Refused):
            return answer, None
        entry = self._accounts.get(account_id)
        found = None if entry is None else self._found(entry, credential_id)
        return (None if isinstance(found, Refused) else found), answer

    async def find_login(self, login: str) -> AccountRecord | None:
        """The account with this address, in any case, or this grant id. Raises DatabaseAway."""
        name = login_name(login)
        known, account_id = self._accounts.login(name)
        if not known:
            account_id = await self._read(lambda: self._look_up(name))
        if account_id is None:
            return None
        entry = await self._entry(account_id)
        return entry.account if entry is not None else None

    async def credentials_of(self, account_id: str) -> tuple[CredentialRecord, ...]:
        """An account's credentials, live ones first, lately revoked ones after. Raises DatabaseAway."""
        entry = await self._entry(account_id)
        return entry.credentials if entry is not None else ()

    async def _entry(self, account_id: str) -> AccountEntry | None:
        entry = self._accounts.get(account_id)
        if entry is not None:
            return entry
        return await self._read(lambda: self._load(account_id))

    def _load(self, account_id: str) -> AccountEntry | None:
        while True:
            revision, entry = self._store.account(account_id)
            if entry is None or self._accounts.keep(entry, revision):
                return entry

    def _look_up(self, name: str) -> str | None:
        while True:
            revision, account_id = self._store.account_of_login(name, is_id=is_grant_id(name))
            if self._accounts.keep_login(name, account_id, revision):
                return account_id

    def _judge(
        self, entry: AccountEntry, credential_id: str | None, protocol: str | None
    ) -> Identity | Refused | None:
        identity = self._found(entry, credential_id)
        if identity is None or isinstance(identity, Refused):
            return identity
        reason = refusal(identity, protocol, self._clock.now())
        return identity if reason is None else Refused(reason)

    def _found(self, entry: AccountEntry, credential_id: str | None) -> Identity | Refused | None:
        """Who this is, whether or not it may act; None while its workspace or tenant is not known here."""
        snapshot, now = self._snapshot, self._clock.now()
        identity = entry.known_identity(snapshot.token, credential_id, now)
        if identity is not None:
            return identity
        tenant = snapshot.tenants.get(entry.account.tenant_id)
        workspace = snapshot.workspaces.get(entry.account.workspace_id)
        if tenant is None or workspace is None:
            return None
        credential = entry.credential(credential_id) if credential_id is not None else None
        if credential_id is not None and (credential is None or credential.revoked_at is not None):
            return Refused(RefusedReason.REVOKED)
        policy, until = snapshot.raised_policy(entry.account, tenant, workspace, now)
        lists = snapshot.lists_of(tenant.id)
        identity = Identity(entry.account, tenant, workspace, policy, credential, snapshot.revision, lists)
        entry.keep_identity(snapshot.token, credential_id, identity, until)
        return identity

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    # Following the change log

    def _step(self) -> None:
        """One look at the database; everything newer is applied before it counts as confirmed."""
        with self._step_lock:
            asked_at = self._clock.monotonic()
            changes: tuple[Change, ...] = ()
            if not self._loaded:
                self._reload()
            elif self._store.may_have_changed():
                changes = self._catch_up()
            self._confirmed_at = asked_at
            if changes:
                self._tell(self._snapshot.revision, changes)

    def _catch_up(self) -> tuple[Change, ...]:
        news = self._store.news(self._snapshot.revision)
        if news is None:
            # The log no longer reaches back to what we hold.
            self._reload()
            return (Change(RELOADED, ""),)
        if news.revision == self._snapshot.revision:
            return ()
        self._snapshot = self._snapshot.with_rows(news.revision, news.rows)
        accounts = {change.account_id for change in news.changes if change.account_id is not None}
        self._accounts.forget(accounts, news.revision)
        return news.changes

    def _reload(self) -> None:
        revision, rows = self._store.everything()
        self._snapshot = Snapshot.empty().with_rows(revision, rows)
        self._accounts.clear(revision)
        self._loaded = True

    def _tell(self, revision: int, changes: tuple[Change, ...]) -> None:
        for callback in tuple(self._callbacks):
            if self._loop is None:
                callback(revision, changes)
            elif not self._loop.is_closed():
                self._loop.call_soon_threadsafe(callback, revision, changes)


def refusal(identity: Identity, protocol: str | None, now: float) -> RefusedReason | None:
    """Why this identity may not act at `now`, or None: the widest reason first."""
    account, credential = identity.account, identity.credential
    if identity.tenant.status != "active":
        return RefusedReason.TENANT_SUSPENDED
    if account.status != "active":
        return RefusedReason.ACCOUNT_SUSPENDED
    if account.settling or identity.workspace.settling:
        return RefusedReason.UNAVAILABLE
    if protocol is not None and not (account.smtp if protocol == "smtp" else account.imap):
        return RefusedReason.PROTOCOL_OFF
    if credential is not None:
        if protocol is not None and protocol not in credential.scopes:
            return RefusedReason.SCOPE
        if credential.expires_at is not None and now >= credential.expires_at:
            return RefusedReason.EXPIRED
    return None
