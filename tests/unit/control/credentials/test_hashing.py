"""argon2id with the fixed cost, in a bounded pool."""

from __future__ import annotations

import asyncio
import threading

import argon2
import pytest
from argon2.exceptions import InvalidHashError

from gateway.control.credentials.hashing import (
    DUMMY_HASH,
    HashPool,
    PoolBusyError,
    hash_password,
    verify_password,
)


def test_the_cost_is_the_documented_one_and_the_dummy_has_it_too() -> None:
    made = argon2.extract_parameters(hash_password("secret"))
    dummy = argon2.extract_parameters(DUMMY_HASH)
    assert (made.type, made.time_cost, made.memory_cost, made.parallelism) == (argon2.Type.ID, 2, 19456, 1)
    assert dummy == made


def test_right_wrong_and_damaged() -> None:
    encoded = hash_password("secret")
    assert verify_password(encoded, "secret")
    assert not verify_password(encoded, "Secret")
    assert not verify_password(encoded, "\ud800")
    assert not verify_password(DUMMY_HASH, "secret")
    with pytest.raises(InvalidHashError):
        verify_password("no hash", "secret")


async def test_places_are_bounded_and_given_back() -> None:
    pool = HashPool(threads=1, places=4)
    gate = threading.Event()
    jobs = [asyncio.ensure_future(pool.run(gate.wait, owner=n % 2)) for n in range(4)]
    await asyncio.sleep(0)
    assert pool.pending == 4
    with pytest.raises(PoolBusyError):
        await pool.run(gate.wait, owner="other")
    gate.set()
    assert await asyncio.gather(*jobs) == [True] * 4
    assert await pool.run(lambda: "again", owner="other") == "again"
    pool.close()
    assert pool.pending == 0


async def test_one_owner_gets_half_of_the_places() -> None:
    pool = HashPool(threads=1, places=4)
    gate = threading.Event()
    mine = [asyncio.ensure_future(pool.run(gate.wait, owner="me")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(PoolBusyError):
        await pool.run(gate.wait, owner="me")
    other = asyncio.ensure_future(pool.run(gate.wait, owner="you"))
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*mine, other) == [True] * 3
    pool.close()


async def test_a_cancelled_caller_keeps_no_place_for_ever() -> None:
    pool = HashPool(threads=1, places=2)
    gate = threading.Event()
    started = threading.Event()

    def job() -> bool:
        started.set()
        return gate.wait()

    task = asyncio.ensure_future(pool.run(job, owner="me"))
    await asyncio.to_thread(started.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await asyncio.to_thread(pool.close)
    assert pool.pending == 0


async def test_an_error_in_a_job_reaches_its_caller() -> None:
    pool = HashPool()

    def job() -> None:
        raise InvalidHashError("damaged")

    with pytest.raises(InvalidHashError):
        await pool.run(job, owner="me")
    assert pool.pending == 0
    pool.close()
