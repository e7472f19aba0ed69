"""`domain page`, `domain wait`: a domain for people without a login, and for scripts."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.options import duration_option
from gateway.faces.cli.output import CommandFailed, Printer

_LONGEST_PAUSE = 30.0
_SHORTEST_PAUSE = 2.0
STATES = ("verifying", "active", "degraded", "suspended", "expired")
_ENDS = ("suspended", "expired")


def add_views(domain: click.Group) -> None:
    """Register the commands below `domain`."""
    command(domain, "page")(domain_page)
    command(domain, "wait")(domain_wait)


@click.argument("domain")
@duration_option(
    *("--ttl", "ttl_seconds", "How long the link holds, such as 14d.  [default: 14d]"), bounds=("1min", "90d")
)
def domain_page(desk: Desk, printer: Printer, domain: str, ttl_seconds: float | None) -> None:
    """Make a link to send to the customer: what to publish, and how far it is; no login, read-only."""
    made = desk.api.post(at("/v1/domains/{}/page", domain), {"ttl_seconds": ttl_seconds})
    if printer.quiet:
        print(made["url"])
        return
    printer.one(made)


@click.argument("domain")
@click.option("--for", "wanted", type=click.Choice(STATES), default="active", show_default=True)
@duration_option("--timeout", "timeout", "How long to wait, such as 2h.  [default: 2h]")
def domain_wait(desk: Desk, printer: Printer, domain: str, wanted: str, timeout: float | None) -> None:
    """Wait until a domain is in a state: exit status 0, or 1 if that does not come."""
    path = at("/v1/domains/{}/verify", domain)
    limit = 7_200.0 if timeout is None else timeout
    wait = Wait(lambda: _known(desk.api.get(path)), wanted, limit, time.monotonic, time.sleep)
    found = None
    for found in wait.looks():
        if not printer.quiet:
            print(progress(found, wanted), file=sys.stderr)
    assert found is not None
    printer.one(found)
    if found["state"] != wanted:
        raise CommandFailed(
            "not-in-time",
            f"{found['name']} is {found['state']}, not {wanted}.",
            f"`gatepost domain verify {found['name']}` says which record is missing or wrong.",
        )


def _known(check: dict[str, Any]) -> dict[str, Any]:
    """The domain, and what its next look waits for."""
    known: dict[str, Any] = check["domain"]
    return known | {name: check[name] for name in ("looked_at", "next_look_at", "reason")}


@dataclass(frozen=True, slots=True)
class Wait:
    """Looks at a domain until it is as wanted, cannot become so, or `timeout` seconds are over."""

    look: Callable[[], dict[str, Any]]
    wanted: str
    timeout: float
    clock: Callable[[], float]
    pause: Callable[[float], None]

    def looks(self) -> Iterator[dict[str, Any]]:
        """Each look that showed something new, and the last one."""
        end, seconds, told = self.clock() + self.timeout, _SHORTEST_PAUSE, None
        while True:
            found = self.look()
            left = end - self.clock()
            over = found["state"] in (self.wanted, *_ENDS) or left <= 0
            if over or progress(found, self.wanted) != told:
                told = progress(found, self.wanted)
                yield found
            if over:
                return
            self.pause(min(seconds, left))
            seconds = min(seconds * 1.5, _LONGEST_PAUSE)


def progress(found: dict[str, Any], wanted: str) -> str:
    """One line: the state, what it waits for, and when it can be ready at the earliest."""
    line = f"{found['name']}: {found['state']}"
    if found["state"] == wanted:
        return line
    if found.get("reason"):
        line += f"; {found['reason'].rstrip('.')}"
    if found.get("next_look_at"):
        line += f"; ready at {found['next_look_at']} at the earliest"
    return line
