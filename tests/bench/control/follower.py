"""A worker's directory in a process of its own: with all accounts in memory, it tells when it obeys.

    python -m tests.bench.control.follower CONFIG

First one line with its memory in MB, then one for each change it applied: the control revision and when
(seconds of the monotonic clock, which all processes share). Ends with its standard input.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from gateway.control.accounts.model import AccountRow
from gateway.control.directory import Directory
from gateway.control.records import Identity
from gateway.system.clock import SystemClock
from gateway.system.config import load
from gateway.system.database import Database
from tests.bench.meter import pss_megabytes


async def follow(config_file: Path) -> None:
    """Fill a directory, then follow the change log."""
    config = load(config_file, {})
    with Database.open(config.control.url, purpose="control") as database:
        with database.read() as connection:
            accounts = list(connection.scalars(sa.select(AccountRow.id)))
        empty = _memory()
        directory = Directory(database, clock=SystemClock())
        directory.start(asyncio.get_running_loop())
        platform = _memory()
        for account in accounts:
            # On a busy machine the thread that follows may be late: then nobody is known for a moment.
            while not isinstance(await directory.identity(account, None), Identity):
                await asyncio.sleep(0.1)
        _say(accounts=len(accounts), empty_mb=empty, platform_mb=platform, filled_mb=_memory())
        sample = accounts[-1]

        def obeyed(revision: int, _changes: object) -> None:
            identity = directory.identity_now(sample, None)
            if isinstance(identity, Identity):
                _say(revision=revision, at=time.monotonic(), version=identity.policy.version)

        directory.subscribe(obeyed)
        await asyncio.to_thread(sys.stdin.read)
        directory.stop()


def _memory() -> float:
    gc.collect()
    return pss_megabytes([os.getpid()])


def _say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    asyncio.run(follow(Path(sys.argv[1])))
