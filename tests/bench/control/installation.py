"""The installation that is measured: quickstart's, on SQLite or on PostgreSQL, with limits out of the way."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.app.desk import SYSTEM, OpenedDesk
from gateway.control.records import RIGHTS
from gateway.system.config import load
from tests.bench.control.population import Population, populate
from tests.bench.meter import cpu_seconds
from tests.support.databases import running_server
from tests.support.gateway import Gateway

DIALECTS = ("sqlite", "postgresql")
_SETTINGS = """
[api]
requests_per_second = 1000000
burst = 1000000

[limits]
errors_per_connection = 10000
junk_commands_per_connection = 1000000000
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A served gateway, a key of its API with every right, and services on the same databases beside it."""

    gateway: Gateway
    desk: OpenedDesk
    population: Population
    key: str

    @property
    def port(self) -> int:
        """The API's port on loopback."""
        return int(self.gateway.state["api"]["url"].rpartition(":")[2])

    def cpu_ms(self) -> float:
        """Milliseconds that the gateway's processes have used; not those of PostgreSQL."""
        return cpu_seconds(child.pid for child in self.gateway.children()) * 1000


@contextmanager
def serving(dialect: str, accounts: int) -> Iterator[Installation]:
    """An installation with so many accounts, served by two mail processes and a control process."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-bench-"))
        gateway = Gateway(Path(folder) / "gateway", settings=_SETTINGS)
        if dialect == "postgresql":
            server = stack.enter_context(running_server(durable=True))
            urls = iter([server.create(), server.create()])
            gateway.edit_config(
                lambda text: re.sub(r'url = "sqlite:[^"]*"', lambda _: f'url = "{next(urls)}"', text)
            )
        desk = OpenedDesk(load(Path(gateway.config), {}))
        stack.callback(desk.close)
        population = populate(desk.services, accounts)
        _, key = desk.services.api_keys.create(SYSTEM, "bench", rights=RIGHTS)
        gateway.start()
        stack.callback(gateway.stop)
        yield Installation(gateway, desk, population, key)
