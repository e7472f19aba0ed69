"""How long publishing takes at scale, against a real Knot: `python -m tests.bench.publishing [DOMAINS]`."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from gateway.control.domains.publishing.server import NameServer
from gateway.control.domains.publishing.service import PublishingService
from gateway.control.domains.publishing.updates import UpdateChannel, load_secret
from gateway.control.services import ControlServices
from gateway.control.tenants.find import find_tenant
from gateway.system.clock import SystemClock
from gateway.system.database import Database, upgrade
from gateway.system.ids import IdSource
from tests.support.control import MASTER_KEY, OPERATOR, SETTINGS, cached_key
from tests.support.nameservers import TSIG_NAME, TSIG_SECRET, running_authority
from tests.support.peers import PEERS

T = TypeVar("T")

_AT_ONCE = 200


def main(domains: int) -> None:
    """Print what each step took."""
    with tempfile.TemporaryDirectory() as folder, running_authority(_peer, "gatepost.test") as zones:
        control = _database(Path(folder) / "control.db", "control")
        location = _database(Path(folder) / "location.db", "location")
        services = _services(control)
        _timed("domains made", lambda: _make(services, domains))
        server = NameServer(
            "127.0.0.1", zones.port, TSIG_NAME, "hmac-sha256", lambda: load_secret(TSIG_SECRET)
        )
        channel = UpdateChannel(server, ["gatepost.test"], 300)
        service = PublishingService(services.writes, location, services.settings, channel)
        changes = _timed("all published", service.publish)
        print(f"{len(changes)} records, {sum(1 for one in changes if one.error)} not published")
        _timed("compared with the server", lambda: service.reconcile(OPERATOR))
        domain = services.domains.add(OPERATOR, "one-more.test", tenant="acme").id
        _timed("one more domain published", lambda: service.publish({domain}))
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most")


def _services(control: Database) -> ControlServices:
    clock = SystemClock()
    settings = replace(SETTINGS, publishes=True, claims=1_000_000)
    services = ControlServices.open(
        control, MASTER_KEY, settings, clock, IdSource(clock), make_key=cached_key
    )
    services.bootstrap()
    services.tenants.create(OPERATOR, "acme")
    return services


def _make(services: ControlServices, domains: int) -> None:
    """Customers' domains with a key in a slot and a shard, some hundred a transaction."""
    material = cached_key("rsa-sha256", 2048)
    for start in range(0, domains, _AT_ONCE):
        with services.writes.change(OPERATOR) as change:
            inside = services.within(change, make_key=cached_key)
            owner = find_tenant(change.session, OPERATOR, "acme")
            for number in range(start, min(start + _AT_ONCE, domains)):
                name = f"d{number}.test"
                inside.domains.create(
                    change, owner, name, environment="production", kind="custom", material=material
                )
                inside.shards.add(change, owner, f"s1.{name}", environment="production")


def _database(path: Path, which: str) -> Database:
    database = Database.open(f"sqlite:///{path}", purpose=which)
    upgrade(database, which)  # type: ignore[arg-type]
    return database


def _timed(what: str, function: Callable[[], T]) -> T:
    start = time.perf_counter()
    result = function()
    print(f"{what}: {time.perf_counter() - start:.2f} s", flush=True)
    return result


def _peer(name: str) -> Path:
    found = PEERS[name].find()
    assert found is not None, f"{name} is not installed"
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
