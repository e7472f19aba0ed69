"""Open SMTP sessions on every mail process, each of which tells which policy binds it now."""

from __future__ import annotations

import smtplib
import time
import urllib.request
from types import TracebackType

from tests.bench.control.installation import Installation

SMALL, LARGE = "1 MiB", "4 MiB"
_ASKED = 2 * 1024 * 1024
_MOST = 200
_OPEN = "gatepost_smtp_connections_open "
_LIMIT_SECONDS = 10.0
_BETWEEN_SECONDS = 0.003
"""Between two looks at all sessions: a refusal counts as an error, and a session may have 10 000."""


class Sessions:
    """Logged-in sessions, at least `least` on each mail process."""

    def __init__(self, at: Installation, least: int = 2) -> None:
        self._at = at
        self._least = least
        self._clients: list[smtplib.SMTP] = []

    def __enter__(self) -> Sessions:
        while not self._reaches_all():
            if len(self._clients) >= _MOST:
                raise SystemExit("the kernel gives all sessions to the same process")
            self._clients.append(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()

    def __len__(self) -> int:
        return len(self._clients)

    def seconds_until(self, *, refused: bool, since: float) -> float:
        """Seconds from `since` (monotonic) until every session was seen to refuse, or take, 2 MiB."""
        waiting = list(self._clients)
        while waiting:
            waiting = [client for client in waiting if self._is_refused(client) is not refused]
            if time.monotonic() > since + _LIMIT_SECONDS:
                raise SystemExit(f"{len(waiting)} sessions do not obey after {_LIMIT_SECONDS:.0f} s")
            time.sleep(_BETWEEN_SECONDS)
        return time.monotonic() - since

    def _is_refused(self, client: smtplib.SMTP) -> bool:
        code, reply = client.mail(self._at.population.address, [f"SIZE={_ASKED}"])
        if code == 250:
            client.rset()
            return False
        if code != 552:
            raise SystemExit(f"a session was answered {code} {reply.decode()}")
        return True

    def _open(self) -> smtplib.SMTP:
        gateway, population = self._at.gateway, self._at.population
        client = smtplib.SMTP("127.0.0.1", gateway.state["submission"]["port"], timeout=30)
        client.starttls(context=gateway.tls_context())
        client.login(population.address, population.password)
        client.ehlo()
        return client

    def _reaches_all(self) -> bool:
        return all(_open_at(url) >= self._least for url in self._at.gateway.state["metrics"]["urls"])


def _open_at(url: str) -> int:
    """Connections open in the process behind a metrics page."""
    with urllib.request.urlopen(url, timeout=10) as page:
        lines = page.read().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith(_OPEN)).split()[1]))
