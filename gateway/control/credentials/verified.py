"""Passwords that were right a moment ago: spares argon2 the clients that log in for every message."""

from __future__ import annotations

import hmac
import os
from collections import OrderedDict
from dataclasses import dataclass

from gateway.system.clock import Clock

REMEMBERED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Entry:
    account_id: str
    credential_id: str
    until: float


class VerifiedPasswords:
    """Which credential a password was found to be, for 300 s, under a random key of this process.

    Only marks are kept: HMAC-SHA-256 of account and password. A hit says the password *was* right; whether
    its credential still stands is the directory's to say.
    """

    def __init__(self, clock: Clock, seconds: float = REMEMBERED_SECONDS, most: int = 20_000) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._key = os.urandom(32)
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._by_account: dict[str, set[bytes]] = {}

    def mark(self, account_id: str, password: bytes) -> bytes:
        """The mark of this password for this account."""
        return hmac.digest(self._key, account_id.encode() + b"\0" + password, "sha256")

    def credential_of(self, mark: bytes) -> str | None:
        """The id of the credential this password was verified as less than 300 s ago."""
        entry = self._entries.get(mark)
        if entry is None:
            return None
        if self._clock.monotonic() >= entry.until:
            self._drop(mark)
            return None
        return entry.credential_id

    def remember(self, mark: bytes, account_id: str, credential_id: str) -> None:
        """Keep a verification that has just succeeded; in full memory the oldest goes."""
        self._drop(mark)
        while len(self._entries) >= self._most:
            self._drop(next(iter(self._entries)))
        self._entries[mark] = _Entry(account_id, credential_id, self._clock.monotonic() + self._seconds)
        self._by_account.setdefault(account_id, set()).add(mark)

    def forget_account(self, account_id: str) -> None:
        """Forget all passwords of an account: something about it changed."""
        for mark in self._by_account.pop(account_id, ()):
            self._entries.pop(mark, None)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._by_account.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, mark: bytes) -> None:
        entry = self._entries.pop(mark, None)
        if entry is None:
            return
        marks = self._by_account[entry.account_id]
        marks.discard(mark)
        if not marks:
            del self._by_account[entry.account_id]
