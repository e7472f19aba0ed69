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
from gateway.faces.api.outflow import Outflow
from gateway.faces.api.problems import MEDIA_TYPE, problem

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

_PEER = struct.Struct("3i")
_MOST_OCTETS = 64 * MIB
"""What an operation takes at most; a body of no told length has the time for so much."""
_MOST_OF_A_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for a peer, in seconds.

    `handshake`: for TLS. `head`: from a connection's beginning, or a head's first octet, to the head's end.
    `body`: for a body beside the time that its octets take at `octets_per_second`, and for what is left of
    one that was answered unread. `unread`: for a peer that takes nothing of its answers.
    """

    handshake: float = 10.0
    head: float = 10.0
    body: float = 30.0
    octets_per_second: int = 10 * 1024
    unread: float = 60.0


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
        self._head_octets = 0
        self._is_lost = False
        self._outflow = Outflow(patience.unread)

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
        self._is_lost = True
        self._disarm()
        self._outflow.stop()
        super().connection_lost(exc)
        self._when_lost()

    def data_received(self, data: bytes) -> None:
        """Whatever comes after the end of a request begins the next, be it an empty line."""
        is_next = self._stage is _Stage.IDLE or not self._requests
        the_one = self._requests + is_next if self._stage is not _Stage.BODY else None
        if self._stage is _Stage.IDLE:
            self._stage = _Stage.HEAD
        super().data_received(data)
        if self._stage is _Stage.HEAD and self._requests == the_one:
            self._count_head(len(data))  # all of it belongs to this one head
        self._watch()

    def _count_head(self, octets: int) -> None:
        self._head_octets += octets
        if self._head_octets > _MOST_OF_A_HEAD and not self.transport.is_closing():
            why = f"The head of the request has more than {_MOST_OF_A_HEAD} octets."
            # An answer in progress is cut off: ours cannot stand in the middle of it.
            self._end(b"" if self._is_our_turn() else refusal(431, "request-header-too-large", why))

    def pause_writing(self) -> None:
        """The peer takes its answers more slowly than they are given."""
        super().pause_writing()
        self._outflow.watch(self.transport)

    def resume_writing(self) -> None:
        """The peer took most of what was written."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._outflow.stop()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        super().send_400_response(msg)
        self._see_off()

    def timeout_keep_alive_handler(self) -> None:
        """The connection was idle long enough."""
        super().timeout_keep_alive_handler()
        self._see_off()

    def on_message_begin(self) -> None:
        """The parser met the first octet of a request."""
        super().on_message_begin()
        self._requests += 1
        self._head_octets = 0
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
        if self.transport.is_closing():
            self._see_off()
        elif self._stage is _Stage.BODY and self.cycle.response_complete:
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
        if self._is_our_turn():
            self._arm(self._seconds())
        elif not self.transport.is_closing():
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
        why = f"The {self._stage.value} of the request did not come to its end in time."
        is_owed = self._requests and not is_answered
        self._end(refusal(408, "request-timeout", why) if is_owed else b"")

    def _end(self, answer: bytes) -> None:
        self._disarm()
        self.transport.write(answer)
        self.transport.close()
        self._see_off()

    def _see_off(self) -> None:
        """What was written goes out before the connection is closed, if the peer takes it."""
        if not self._is_lost:
            self._outflow.watch(self.transport)


def refusal(status: int, code: str, detail: str) -> bytes:
    """An answer, as a problem document, that ends a connection: to be written where no handler is asked."""
    document = bytes(problem(status, code, detail, "Try again over a new connection.").body)
    fields = (
        f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(document)}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[status] + fields.encode("ascii") + document
