"""Accounts in memory: those that were lately asked for, with their credentials, in a bounded number."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.control.records import AccountRecord, CredentialRecord, Identity

_MOST_NOBODIES = 10_000


@dataclass(slots=True)
class AccountEntry:
    """An account with its credentials, live ones first, and the identities already put together from them."""

    account: AccountRecord
    credentials: tuple[CredentialRecord, ...]
    _token: object = None
    _identities: dict[str | None, tuple[Identity, float]] = field(default_factory=dict)

    def credential(self, credential_id: str) -> CredentialRecord | None:
        """One of the account's credentials, revoked ones included."""
        for credential in self.credentials:
            if credential.id == credential_id:
                return credential
        return None

    def known_identity(self, token: object, credential_id: str | None, now: float) -> Identity | None:
        """The identity put together before from the snapshot with this token, if it still holds `now`."""
        known = self._identities.get(credential_id) if self._token is token else None
        return known[0] if known is not None and now < known[1] else None

    def keep_identity(
        self, token: object, credential_id: str | None, identity: Identity, until: float
    ) -> None:
        """Keep an identity for as long as the snapshot with this token stands, at most `until` then."""
        if self._token is not token:
            self._identities = {}
            self._token = token
        self._identities[credential_id] = (identity, until)


class AccountCache:
    """A least-recently-used map of accounts, and of logins to accounts (or to nobody).

    Read by the event loop, filled by readers, emptied by the thread that follows the change log. What was
    read before a change was applied must not be kept after it: `keep` and `keep_login` take the revision
    that the reader saw, and refuse one that is behind `revision`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, AccountEntry] = OrderedDict()
        self._logins: OrderedDict[str, str] = OrderedDict()
        self._nobody: OrderedDict[str, None] = OrderedDict()
        self._names: dict[str, set[str]] = {}
        self._revision = 0

    def get(self, account_id: str) -> AccountEntry | None:
        """The account, if it is in memory; it becomes the most recently used."""
        with self._lock:
            entry = self._entries.get(account_id)
            if entry is not None:
                self._entries.move_to_end(account_id)
            return entry

    def keep(self, entry: AccountEntry, revision: int) -> bool:
        """Keep what was read at `revision`; False (and nothing kept) if a change came in between."""
        with self._lock:
            if revision < self._revision:
                return False
            self._entries[entry.account.id] = entry
            self._entries.move_to_end(entry.account.id)
            while len(self._entries) > self._most:
                self._forget(next(iter(self._entries)))
            return True

    def login(self, name: str) -> tuple[bool, str | None]:
        """Whether we know who `name` is, and the account's id (None: nobody)."""
        with self._lock:
            owner = self._logins.get(name)
            if owner is not None:
                self._logins.move_to_end(name)
                return True, owner
            return name in self._nobody, None

    def keep_login(self, name: str, account_id: str | None, revision: int) -> bool:
        """Keep whom a login names; False (and nothing kept) if a change came in between."""
        with self._lock:
            if revision < self._revision:
                return False
            if account_id is None:
                # Apart and fewer: a guesser makes up names without end, and must not push out real ones.
                self._nobody[name] = None
                if len(self._nobody) > _MOST_NOBODIES:
                    self._nobody.popitem(last=False)
                return True
            self._logins[name] = account_id
            self._logins.move_to_end(name)
            self._names.setdefault(account_id, set()).add(name)
            if len(self._logins) > self._most:
                self._unname(*self._logins.popitem(last=False))
            return True

    def forget(self, account_ids: set[str], revision: int) -> None:
        """Drop changed accounts and all logins of nobody; `revision` is now applied."""
        with self._lock:
            self._revision = revision
            for account_id in account_ids:
                self._forget(account_id)
            if account_ids:
                # One of them may be new, or have a new address.
                self._nobody.clear()

    def clear(self, revision: int) -> None:
        """Drop everything; `revision` is now applied."""
        with self._lock:
            self._revision = revision
            self._entries.clear()
            self._logins.clear()
            self._nobody.clear()
            self._names.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def _forget(self, account_id: str) -> None:
        self._entries.pop(account_id, None)
        for name in self._names.pop(account_id, ()):
            self._logins.pop(name, None)

    def _unname(self, name: str, account_id: str) -> None:
        names = self._names.get(account_id)
        if names is not None:
            names.discard(name)
            if not names:
                del self._names[account_id]
