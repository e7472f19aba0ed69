"""argon2id, in a small pool: one hash costs 20 ms and 19 MiB, so how many run at once is bounded."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

TIME_COST = 2
MEMORY_KIB = 19456
LANES = 1

# A hash of nothing: no password is known for it, and checking one against it costs what any other does.
DUMMY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$R2F0ZXBvc3RHYXRlcG9zdA$" + "A" * 43

_HASHER = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=LANES)


def hash_password(text: str) -> str:
    """The argon2id hash of `text` with a fresh salt, in its encoded form. Takes about 20 ms."""
    return _HASHER.hash(text)


def verify_password(encoded: str, text: str) -> bool:
    """Whether `text` is the password behind `encoded`. Takes about 20 ms, whatever the answer.

    Raises argon2.exceptions.InvalidHashError if `encoded` is no hash: a damaged row, not a wrong password.
    """
    try:
        # What is no valid UTF-8 is a wrong password like any other, not an error.
        return _HASHER.verify(encoded, text.encode("utf-8", "surrogatepass"))
    except InvalidHashError:
        raise
    except VerificationError:
        return False


class PoolBusyError(Exception):
    """Too many passwords wait to be checked: answer 454, the client comes again."""


class HashPool:
    """Two threads that check passwords, and a bounded number of jobs that may wait for them.

    One owner (an address) may have at most half of the places, so that nobody fills the queue alone.
    Threads start with the first job: make it anywhere, use it after the fork only.
    """

    def __init__(self, threads: int = 2, places: int = 128) -> None:
        """`places`: jobs that run or wait, in all."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._places = places
        self._lock = threading.Lock()
        self._waiting: Counter[Hashable] = Counter()
        self._total = 0

    async def run(self, job: Callable[[], T], *, owner: Hashable) -> T:
        """The job's result, from one of the threads.

        Raises PoolBusyError at once when all places, or the owner's half of them, are taken. A caller that is
        cancelled leaves its job to end on its own.
        """
        self._take(owner)
        try:
            future: Future[T] = self._executor.submit(job)
        except BaseException:
            self._give_back(owner)
            raise
        future.add_done_callback(lambda _: self._give_back(owner))
        return await asyncio.wrap_future(future)

    @property
    def pending(self) -> int:
        """Jobs that run or wait."""
        return self._total

    def close(self) -> None:
        """Drop what waits, end what runs, stop the threads."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _take(self, owner: Hashable) -> None:
        with self._lock:
            if self._total >= self._places or self._waiting[owner] >= max(1, self._places // 2):
                raise PoolBusyError("too many passwords wait to be checked; try again in a few seconds")
            self._total += 1
            self._waiting[owner] += 1

    def _give_back(self, owner: Hashable) -> None:
        with self._lock:
            self._total -= 1
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner]
