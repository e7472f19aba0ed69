"""How many connections may be open at once, and the accepting of them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import socket
from collections import Counter
from collections.abc import Callable, Coroutine

import structlog

from gateway.faces.api.admission import network_of
from gateway.faces.api.protocol import refusal

# Those who wait for events are 500 at most; the rest is requests, and keeping connections for the next.
_MOST = 4_096
_MOST_OF_A_PEER = 256
_AT_ONCE = 64
_BREATHER_SECONDS = 1.0
_TOLD_AGAIN_SECONDS = 60.0


class Place:
    """One connection's place among those that are open."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def leave(self) -> None:
        """The connection has ended; to say so twice does nothing."""
        if self._leave is not None:
            self._leave()
            self._leave = None


class Doors:
    """Counts the open TCP connections of one process, in all and of each peer.

    A peer is an IPv4 address, or an IPv6 one's /64. Peers on this machine count in all only: what comes from
    there are a reverse proxy's connections, of many peers.
    """

    def __init__(self, most: int | None = None, most_of_a_peer: int = _MOST_OF_A_PEER) -> None:
        """`most`: in all; unless given, it leaves half of the process's descriptors to everything else."""
        self._most = most or min(_MOST, _descriptors() // 2)
        self._most_of_a_peer = most_of_a_peer
        self._total = 0
        self._peers: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many are open."""
        return self._total

    def enter(self, address: str) -> Place | None:
        """A place for a connection from an IP address; None if there is none left."""
        peer = _peer(address.partition("%")[0])
        if self._total >= self._most or (peer is not None and self._peers[peer] >= self._most_of_a_peer):
            return None
        self._total += 1
        if peer is not None:
            self._peers[peer] += 1
        return Place(lambda: self._leave(peer))

    def _leave(self, peer: str | None) -> None:
        self._total -= 1
        if peer is not None:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]


class Accepting:
    """Accepts connections on one listening socket, as far as there are places for them.

    The servers of the event loop accept whoever comes, and under TLS tell nobody before the handshake is
    over; then it is too late to count.
    """

    def __init__(
        self,
        listener: socket.socket,
        doors: Doors,
        serve: Callable[[socket.socket, Place], Coroutine[None, None, None]],
        *,
        speaks_first: bool,
    ) -> None:
        """`serve` takes a connection over. `speaks_first`: without TLS, who is turned away is told so."""
        self._listener = listener
        self._doors = doors
        self._serve = serve
        self._speaks_first = speaks_first
        self._serving: set[asyncio.Task[None]] = set()
        self._breather: asyncio.TimerHandle | None = None
        self._told_at = float("-inf")
        self._log = structlog.get_logger("gateway.faces.api")

    def open(self) -> None:
        """Begin, on the running event loop."""
        self._listener.setblocking(False)
        self._breather = None
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept nobody else and close the socket; who has not finished its handshake is dropped."""
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        self._listener.close()
        if self._breather is not None:
            self._breather.cancel()
        for task in self._serving:
            task.cancel()

    def _accept(self) -> None:
        # Not more at once: those who were accepted before wait meanwhile.
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._breathe(error)
                return
            self._admit(connection, address)

    def _breathe(self, error: OSError) -> None:
        """Descriptors or memory are used up: the socket would be ready again at once, and for nothing."""
        self._log.error("accept_failed", reason=str(error))
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener.fileno())
        self._breather = loop.call_later(_BREATHER_SECONDS, self.open)

    def _admit(self, connection: socket.socket, address: object) -> None:
        # On the Unix socket are the machine's own people: they get in whoever else is there.
        place = self._doors.enter(address[0]) if isinstance(address, tuple) else Place(lambda: None)
        if place is None:
            self._turn_away(connection)
            return
        connection.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._serve(connection, place))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _turn_away(self, connection: socket.socket) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= _TOLD_AGAIN_SECONDS:
            self._told_at = now
            self._log.warning("connections_turned_away", open=self._doors.count)
        with connection, contextlib.suppress(OSError):
            if self._speaks_first:
                connection.setblocking(False)
                connection.send(refusal(503, "too-many-connections", "Too many connections are open."))


def _peer(address: str) -> str | None:
    network = network_of(address)
    is_here = ipaddress.ip_address(address).is_loopback or network.startswith("127.")
    return None if is_here else network


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * _MOST if soft == resource.RLIM_INFINITY else soft
