"""One caller of the API on one kept connection, and the times its calls took."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

_SECONDS = 600.0


class Caller:
    """Sends one request after the other; a refusal ends the measurement."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a reply."""
        octets = None if body is None else json.dumps(body)
        self._connection.request(method, path, octets, self._headers)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.status >= 300:
            raise SystemExit(f"{method} {path}: {reply.status} {text.decode()}")
        return json.loads(text)

    def timed(self, method: str, path: str, body: Any = None) -> tuple[float, Any]:
        """Seconds from the first octet sent to the last received, and the JSON."""
        began = time.perf_counter()
        document = self.call(method, path, body)
        return time.perf_counter() - began, document


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of several calls."""

    seconds: Sequence[float]

    @property
    def per_second(self) -> float:
        """Calls a second, one after the other."""
        return len(self.seconds) / sum(self.seconds)

    @property
    def p50_ms(self) -> float:
        """The middle one, in milliseconds."""
        return median(self.seconds) * 1000

    @property
    def p99_ms(self) -> float:
        """What all but the slowest hundredth stayed under, in milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000

    def __str__(self) -> str:
        return f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"
