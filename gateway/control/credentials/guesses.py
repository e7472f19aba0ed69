"""Counting wrong passwords for the whole node: shared memory that is made before the fork."""

from __future__ import annotations

import os
from hashlib import blake2b

from gateway.control.credentials.guessrules import (
    DAY,
    MINUTE,
    REMEMBERED_SECONDS,
    SHORT,
    TRUSTED_SECONDS,
    Counts,
    GuessVerdict,
    Origin,
    Window,
    judge,
    origin_of,
)
from gateway.system.clock import Clock
from gateway.system.sharedmemory import DIGEST_OCTETS, ForkLock, SharedRecords

_SLICE_OCTETS = 4
_MOST_IN_A_SLICE = 255
_PAYLOAD_OCTETS = 2 * _SLICE_OCTETS + MINUTE.kept + DAY.kept

# What a record is about; part of its digest.
_PAIR, _ADDRESS, _NETWORK, _LOGIN, _GUESS, _TRUST = b"p", b"a", b"n", b"l", b"g", b"t"


class GuessTable:
    """Wrong passwords of the last day by login and by address, and who got in from where.

    Logins, addresses and passwords stand in it as digests under a random key only. One table serves a
    node: made by the supervisor before it forks, used by every process. Counts are of real time
    (`clock.monotonic`), which all processes of a node share.
    """

    def __init__(self, clock: Clock, failures: SharedRecords, trusted: SharedRecords) -> None:
        self._clock = clock
        self._failures = failures
        self._trusted = trusted
        self._key = os.urandom(32)

    @classmethod
    def create(cls, clock: Clock, size: int = 65_536) -> GuessTable:
        """A table with room for `size` counters (70 octets each) and a quarter as many who got in."""
        lock = ForkLock()
        return cls(
            clock,
            SharedRecords(size, _PAYLOAD_OCTETS, lock),
            # Apart, so that a flood of guesses does not push out those who know their passwords.
            SharedRecords(max(1, size // 4), _SLICE_OCTETS, lock),
        )

    def check(self, login: str, address: str) -> GuessVerdict:
        """May a password be looked at for this login (in its compared form) from this address now?"""
        origin = origin_of(address)
        now = int(self._clock.monotonic())
        with self._failures.lock:
            return judge(self._counts(login, origin, now))

    def wrong(self, login: str, address: str, password: str) -> GuessVerdict:
        """Count a wrong password, unless it is one we know; returns what holds now, with its delay."""
        origin = origin_of(address)
        now = int(self._clock.monotonic())
        guess = self._digest(_GUESS, login, password.encode("utf-8", "surrogatepass"))
        with self._failures.lock:
            if not self._is_recent(self._failures.get(guess), now, REMEMBERED_SECONDS):
                self._failures.put(guess, _stamp(now), now)
                self._add(login, origin, now)
            return judge(self._counts(login, origin, now))

    def right(self, login: str, address: str) -> None:
        """Remember that this address knows this login's password, and forget its own failures at it."""
        origin = origin_of(address)
        now = int(self._clock.monotonic())
        pair = self._digest(_PAIR, login, origin.address)
        trust = self._digest(_TRUST, login, origin.address)
        with self._failures.lock:
            self._trusted.put(trust, _stamp(now), now)
            self._failures.remove(pair)

    def close(self) -> None:
        """Give the memory back."""
        self._failures.close()
        self._trusted.close()
        self._failures.lock.close()

    def _counts(self, login: str, origin: Origin, now: int) -> Counts:
        pair = self._failures.get(self._digest(_PAIR, login, origin.address))
        address = self._failures.get(self._digest(_ADDRESS, "", origin.address))
        network = self._failures.get(self._digest(_NETWORK, "", origin.network))
        over_all = self._failures.get(self._digest(_LOGIN, login, b""))
        trust = self._trusted.get(self._digest(_TRUST, login, origin.address))
        return Counts(
            pair=_count(SHORT, pair, 0, now),
            address_minute=_count(MINUTE, address, 0, now),
            address_day=_count(DAY, address, _width(MINUTE), now),
            network_minute=_count(MINUTE, network, 0, now),
            network_day=_count(DAY, network, _width(MINUTE), now),
            login=_count(SHORT, over_all, 0, now),
            trusted=self._is_recent(trust, now, TRUSTED_SECONDS),
        )

    def _add(self, login: str, origin: Origin, now: int) -> None:
        for digest in (self._digest(_PAIR, login, origin.address), self._digest(_LOGIN, login, b"")):
            self._failures.put(digest, _added(SHORT, self._failures.get(digest), 0, now), now)
        for digest in (
            self._digest(_ADDRESS, "", origin.address),
            self._digest(_NETWORK, "", origin.network),
        ):
            found = self._failures.get(digest)
            both = _added(MINUTE, found, 0, now) + _added(DAY, found, _width(MINUTE), now)
            self._failures.put(digest, both, now)

    def _digest(self, kind: bytes, login: str, rest: bytes) -> bytes:
        name = login.encode("utf-8", "surrogatepass")
        parts = kind + len(name).to_bytes(4, "big") + name + rest
        return blake2b(parts, digest_size=DIGEST_OCTETS, key=self._key).digest()

    @staticmethod
    def _is_recent(stamp: bytes | None, now: int, seconds: int) -> bool:
        return stamp is not None and now - int.from_bytes(stamp[:_SLICE_OCTETS], "little") < seconds


def _stamp(now: int) -> bytes:
    return now.to_bytes(_SLICE_OCTETS, "little")


def _width(window: Window) -> int:
    """Octets of one window in a record: the number of its newest slice, then one count for each slice."""
    return _SLICE_OCTETS + window.kept


def _slices(window: Window, payload: bytes | None, start: int, now: int) -> tuple[int, bytearray]:
    """The newest slice's number and the counts as they stand now: what has slid out is zero."""
    current = now // window.slice_seconds
    if payload is None:
        return current, bytearray(window.kept)
    newest = int.from_bytes(payload[start : start + _SLICE_OCTETS], "little")
    counts = bytearray(payload[start + _SLICE_OCTETS : start + _width(window)])
    if current - newest >= window.kept:
        return current, bytearray(window.kept)
    for passed in range(newest + 1, current + 1):
        counts[passed % window.kept] = 0
    return max(newest, current), counts


def _count(window: Window, payload: bytes | None, start: int, now: int) -> int:
    if payload is None:
        return 0
    return sum(_slices(window, payload, start, now)[1])


def _added(window: Window, payload: bytes | None, start: int, now: int) -> bytes:
    newest, counts = _slices(window, payload, start, now)
    place = newest % window.kept
    counts[place] = min(_MOST_IN_A_SLICE, counts[place] + 1)
    return newest.to_bytes(_SLICE_OCTETS, "little") + bytes(counts)
