"""A served gateway over real name servers: Knot with the customers' and the platform's zones, Unbound over it.

The gateway publishes the platform's names in `gatepost.test` itself; a customer's records are put by hand.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import dkim
import dns.resolver

from tests.support.gateway import Gateway, wait_until
from tests.support.nameservers import TSIG_NAME, TSIG_SECRET, Authority, LocalResolver

Row = dict[str, Any]

PATIENCE_SECONDS = 45.0
"""How long anything may take that comes by itself, on a machine with much else to do."""

GRACE_SECONDS = 4.0
_TOLD = ("verifying", "active", "record_lost", "record_recovered", "degraded", "suspended", "expired")
_SETTINGS = """
[dns]
servers = ["{resolver}"]
authority_port = {port}
queries_per_second = 1000
[domains]
grace = "4s"
first_look = "1s"
longest_look = "1s"
[publishing]
server = "{authority}"
zones = ["gatepost.test"]
tsig_name = "{name}"
tsig_secret_file = "{secret}"
ttl = "30s"
"""


class Zones:
    """The gateway, its name servers, and what an operator, a customer and a receiver do with them."""

    def __init__(self, gateway: Gateway, authority: Authority, resolver: LocalResolver) -> None:
        self.gateway = gateway
        self.authority = authority
        self.resolver = resolver
        self._lookups = dns.resolver.Resolver(configure=False)
        self._lookups.nameservers = ["127.0.0.1"]
        self._lookups.port = resolver.port
        self._lookups.lifetime = 20.0

    # --- the API ---

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The document of a call of the API that must succeed."""
        api = self.gateway.state["api"]
        request = urllib.request.Request(
            f"{api['url']}/v1{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {api['key']}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or b"null")

    def add(self, name: str, mode: str = "send") -> Row:
        """Register a domain of the demo tenant."""
        body = {"name": name, "tenant": self.gateway.tenant_id, "mode": mode}
        made: Row = self.call("POST", "/domains", body)
        return made

    def state(self, domain: str) -> str:
        """The domain's state now."""
        return str(self.call("GET", f"/domains/{domain}")["state"])

    def known(self, domain: str) -> Row:
        """What the last look of the watch has found."""
        found: Row = self.call("GET", f"/domains/{domain}/verify")
        return found

    def verify(self, domain: str) -> Row:
        """What a look finds that is asked for now."""
        found: Row = self.call("POST", f"/domains/{domain}/verify")
        return found

    def records(self, domain: str) -> list[Row]:
        """What the customer is to publish."""
        rows = self.call("GET", f"/domains/{domain}/records")["items"]
        return [row for row in rows if row["publisher"] == "customer"]

    def keys(self, domain: str) -> dict[str, str]:
        """The state of each of a domain's keys, by selector."""
        rows = self.call("GET", f"/dkim-keys?domain={domain}")["items"]
        return {row["selector"]: row["state"] for row in rows}

    def story(self, domain: str) -> list[str]:
        """The domain's events from the oldest on, without those of its making."""
        return [name for name, _ in self.timed_story(domain)]

    def timed_story(self, domain: str) -> list[tuple[str, datetime]]:
        """The same, each with its time."""
        types = "&".join(f"types=gatepost.domain.{name}" for name in _TOLD)
        rows = self.call("GET", f"/events?limit=1000&{types}")["items"]
        return [
            (row["type"].removeprefix("gatepost.domain."), datetime.fromisoformat(row["time"]))
            for row in rows
            if (row["data"]["after"] or {}).get("name") == domain
        ]

    def await_state(self, domain: str, state: str) -> None:
        """Wait until the watch has brought a domain there."""
        wait_until(lambda: self.state(domain) == state, PATIENCE_SECONDS, f"{domain} {state}")

    # --- the customer ---

    def publish(self, *rows: Row) -> None:
        """Put records as they are told."""
        for row in rows:
            self.authority.put(row["name"], row["type"], _master(row))

    def withdraw(self, *rows: Row) -> None:
        """Take them away again."""
        for row in rows:
            self.authority.put(row["name"], row["type"])

    # --- the receiver ---

    def texts(self, name: str) -> list[str]:
        """The TXT records of a name, as the resolver has them. Raises dns.exception.DNSException."""
        return [b"".join(record.strings).decode() for record in self._lookups.resolve(name, "TXT")]

    def verdicts(self, message: bytes) -> list[bool]:
        """Whether each DKIM signature of a message holds, with the keys that DNS has now."""

        def look_up(name: bytes, **_: object) -> bytes:
            [text] = self.texts(name.decode())
            return text.encode()

        count = len(re.findall(rb"(?im)^dkim-signature:", message.partition(b"\r\n\r\n")[0]))
        return [bool(dkim.DKIM(message).verify(idx=one, dnsfunc=look_up)) for one in range(count)]


@contextmanager
def served(folder: Path, authority: Authority, resolver: LocalResolver) -> Iterator[Zones]:
    """A gateway over these name servers until the block ends."""
    secret = folder / "tsig.secret"
    secret.write_text(TSIG_SECRET)
    secret.chmod(0o600)
    settings = _SETTINGS.format(
        resolver=resolver.address,
        port=authority.port,
        authority=authority.address,
        name=TSIG_NAME,
        secret=secret,
    )
    gateway = Gateway(folder / "var", settings=settings)
    try:
        # Within: one that does not become ready in time is not left running.
        yield Zones(gateway.start(), authority, resolver)
    finally:
        if gateway.process is not None:
            assert gateway.stop() == 0


def _master(row: Row) -> str:
    return f"{row['value']}." if row["type"] in ("CNAME", "MX") else str(row["value"])
