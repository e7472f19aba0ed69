"""How fast domains are looked at, in one process against a loopback authority.

    python -m tests.bench.domains.run [--domains N] [--rate N]

10 000 claims, all pending: each is looked at once, by an unbound rate and then by a rate that binds. Said are
domains and questions a second, the highest second at the authority, CPU and memory of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvloop

from gateway.control.domains.watch.local import local_sight
from gateway.control.domains.watch.looking import Looker
from gateway.control.domains.watch.store import WatchStore
from gateway.control.domains.watch.watcher import DomainWatch
from gateway.control.services import ControlServices
from gateway.system.authority import AuthoritySettings, open_authorities
from gateway.system.clock import SystemClock
from gateway.system.database import Database, upgrade
from gateway.system.ids import IdSource
from tests.bench.domains.zone import ZoneProcess
from tests.bench.report import machine
from tests.support.control import MASTER_KEY, OPERATOR, SETTINGS, cached_key

_BATCH = 500
_UNBOUND = 100_000


def main() -> None:
    """Measure, and print a line for each run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--domains", type=int, default=10_000)
    parser.add_argument(
        "--rate", type=int, default=500, help="questions a second to one server, in the second run"
    )
    parser.add_argument("--bound-domains", type=int, default=2_000, help="domains of the second run")
    arguments = parser.parse_args()
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f} before")
    zone = ZoneProcess()
    try:
        for count, rate in ((arguments.domains, _UNBOUND), (arguments.bound_domains, arguments.rate)):
            with _world(count) as (services, location):
                print(uvloop.run(_measured(services, location, zone, count, rate)), flush=True)
    finally:
        zone.stop()


@contextmanager
def _world(count: int) -> Iterator[tuple[ControlServices, Database]]:
    """Services with so many pending domains."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        with (
            Database.open(f"sqlite:///{Path(folder) / 'control.db'}", purpose="control") as control,
            Database.open(f"sqlite:///{Path(folder) / 'location.db'}", purpose="default") as location,
        ):
            upgrade(control, "control")
            upgrade(location, "location")
            services = ControlServices.open(
                control,
                MASTER_KEY,
                replace(SETTINGS, claims=count),
                clock,
                IdSource(clock),
                sight=local_sight(AuthoritySettings(), clock),
                make_key=cached_key,
            )
            services.bootstrap()
            services.tenants.create(OPERATOR, "acme")
            for start in range(0, count, _BATCH):
                with services.writes.change(OPERATOR) as change:
                    joined = services.within(change, make_key=cached_key)
                    for number in range(start, min(start + _BATCH, count)):
                        joined.domains.add(OPERATOR, f"d{number}.bench-{number}.test", tenant="acme")
            yield services, location


async def _measured(
    services: ControlServices, location: Database, zone: ZoneProcess, count: int, rate: int
) -> str:
    clock = services.writes.clock
    settings = AuthoritySettings((f"127.0.0.1:{zone.port}",), rate, port=zone.port)
    authorities = open_authorities(settings, clock, secrets.randbits)
    store = WatchStore(location)
    watch = DomainWatch(services, store, Looker(authorities, clock), clock)
    zone.counted()
    memory, cpu, began = _resident(), time.process_time(), time.monotonic()
    stop = asyncio.Event()
    running = asyncio.create_task(watch.run(stop))
    # Every domain is due at once: it is done when none is due any more.
    while len(store.known()) < count or (await asyncio.to_thread(store.next_due) or 0) <= clock.now():
        assert not running.done()
        await asyncio.sleep(0.1)
    seconds, spent = time.monotonic() - began, time.process_time() - cpu
    stop.set()
    await running
    await authorities.close()
    asked = zone.counted()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{count} domains, {'unbound' if rate == _UNBOUND else f'{rate} questions/s'}: {seconds:.1f} s, "
        f"{count / seconds:.0f} domains/s, authority {sum(asked) / max(1, len(asked)):.0f} questions/s, "
        f"at most {max(asked, default=0)}; CPU {spent / count * 1000:.2f} ms a domain, "
        f"memory {memory:.0f} -> {peak:.0f} MB"
    )


def _resident() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
