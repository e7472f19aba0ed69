"""HTTP over one connection, with an end to the patience for a request that does not come to its own end."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.faces.api.admission import UID_PREFIX
from gateway.faces.api.facts import MIB
from gateway.faces.api.problems import MEDIA_TYPE, problem

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

_PEER = struct.Struct("3i")
_MOST_OCTETS = 64 * MIB
"""What an operation takes at most; a body of no told length has the time for so much."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for a peer, in seconds.

    `handshake`: for TLS. `head`: from a connection's beginning, or a head's first octet, to the head's end.
    `body`: for a body beside the time that its octets take at `octets_per_second`, and for what is left of
    one that was answered unread. `closing`: until a peer that does not take its answer is cut off.
    """

    handshake: float = 10.0
    head: float = 10.0
    body: float = 30.0
    octets_per_second: int = 10 * 1024
    closing: float = 10.0


class _Stage(Enum):
    """What the connection waits for: nothing in particular, or the rest of something."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"


class Protocol(HttpToolsProtocol):
    """Ends a connection whose request stays unfinished, and names a peer on a Unix socket by its user.

    A request that is whole takes as long to be answered as it takes: readers of events wait for hours. How
    long an idle connection is kept is the server's to say.
    """

    def __init__(
        self, config: Config, state: ServerState, patience: Patience, when_lost: Callable[[], object]
    ) -> None:
        """`when_lost` is called once the connection has ended."""
        super().__init__(config, state, {})
        self._patience = patience
        self._when_lost = when_lost
        self._stage = _Stage.HEAD
        self._requests = 0
        self._watched = (0, _Stage.IDLE)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """The peer is there, and owes a request."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            octets = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            _, uid, _ = _PEER.unpack(octets)
            # As the kernel knows it.
            self.client = (f"{UID_PREFIX}{uid}", 0)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, whoever ended it."""
        self._disarm()
        super().connection_lost(exc)
        self._when_lost()

    def data_received(self, data: bytes) -> None:
        """Whatever comes after the end of a request begins the next, be it an empty line."""
        if self._stage is _Stage.IDLE:
            self._stage = _Stage.HEAD
        super().data_received(data)
        self._watch()

    def on_message_begin(self) -> None:
        """The parser met the first octet of a request."""
        super().on_message_begin()
        self._requests += 1
        self._stage = _Stage.HEAD

    def on_headers_complete(self) -> None:
        """The parser met the end of a head."""
        super().on_headers_complete()
        self._stage = _Stage.BODY

    def on_message_complete(self) -> None:
        """The parser met the end of a request."""
        super().on_message_complete()
        self._stage = _Stage.IDLE

    def on_response_complete(self) -> None:
        """An answer was given. If its request's body was not wanted, the rest of it has little time."""
        super().on_response_complete()
        if self._stage is _Stage.BODY and self.cycle.response_complete and not self.transport.is_closing():
            self._arm(self._patience.body)

    def _watch(self) -> None:
        """Set the clock for what is waited for now, unless that was waited for before."""
        now = (self._requests, self._stage)
        if now == self._watched or self.transport.is_closing():
            return
        self._watched = now
        self._disarm()
        if self._stage is not _Stage.IDLE:
            self._arm(self._seconds())

    def _seconds(self) -> float:
        if self._stage is _Stage.HEAD:
            return self._patience.head
        if self.cycle.response_complete:
            return self._patience.body
        told = next((value for name, value in self.headers if name == b"content-length"), b"")
        octets = min(int(told), _MOST_OCTETS) if told.isdigit() else _MOST_OCTETS
        return self._patience.body + octets / self._patience.octets_per_second

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._too_late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            self.transport.abort()
        elif self._is_our_turn():
            self._arm(self._seconds())
        else:
            self._give_up()

    def _is_our_turn(self) -> bool:
        """Whether a request is being answered, or the peer is kept from sending: then it is not to blame."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        return self._stage is _Stage.HEAD or cycle.response_started or self.flow.read_paused

    def _give_up(self) -> None:
        """Close; a peer that has begun a request is told why, if it was not answered already."""
        is_answered = self._stage is _Stage.BODY and self.cycle.response_complete
        if self._stage is _Stage.BODY and not is_answered:
            # Its handler must not answer behind us.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self._requests and not is_answered:
            what = self._stage.value
            self.transport.write(
                refusal(408, "request-timeout", f"The {what} of the request did not come to its end in time.")
            )
        self.transport.close()
        self._arm(self._patience.closing)


def refusal(status: int, code: str, detail: str) -> bytes:
    """An answer, as a problem document, that ends a connection: to be written where no handler is asked."""
    document = bytes(problem(status, code, detail, "Try again over a new connection.").body)
    fields = (
        f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(document)}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[status] + fields.encode("ascii") + document
