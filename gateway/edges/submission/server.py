"""The listeners of ports 587 and 465 in one process, and the life of their sessions."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.control.directory import RELOADED
from gateway.edges.submission.session import SubmissionSession

if TYPE_CHECKING:
    from gateway.control.directory import Change
    from gateway.edges.smtp.limits import SessionLimits
    from gateway.edges.submission.edge import SubmissionEdge

SWEEP_SECONDS = 1.0
BACKLOG = 4096


class SubmissionServer:
    """Accepts on sockets that somebody else bound and keeps; closing here closes only our copies.

    `submission` are sockets for STARTTLS (587), `submissions` for TLS from the start (465). Not for use
    before the fork: it belongs to one event loop.
    """

    def __init__(
        self,
        edge: SubmissionEdge,
        *,
        submission: Sequence[socket.socket] = (),
        submissions: Sequence[socket.socket] = (),
    ) -> None:
        """Raises ValueError if there is a socket for TLS but no certificate."""
        if submissions and edge.host.tls() is None:
            raise ValueError(
                "the TLS port (submissions) needs a certificate: set certificate and key in [tls]"
            )
        self._edge = edge
        self._submission = tuple(submission)
        self._submissions = tuple(submissions)
        self._servers: list[asyncio.Server] = []
        self._tls_context: ssl.SSLContext | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._rechecks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Accept from now on."""
        loop = asyncio.get_running_loop()
        self._tls_context = self._edge.host.tls()
        self._servers = await self._listen()
        self._unsubscribe = self._edge.directory.subscribe(self._changed)
        self._sweep = loop.call_later(SWEEP_SECONDS, self._sweep_all)

    async def reload(self, limits: SessionLimits | None = None) -> None:
        """Take the certificate that the provider has now, and new limits, for new connections.

        STARTTLS asks the provider each time. No connection is dropped or refused meanwhile: the new
        listeners share the sockets' backlog with the old ones.
        """
        if limits is not None:
            self._edge = replace(self._edge, host=replace(self._edge.host, limits=limits))
        context = self._edge.host.tls()
        if context is self._tls_context or not self._servers:
            return
        self._tls_context = context
        old, self._servers = self._servers, await self._listen()
        for server in old:
            server.close()

    def stop_accepting(self) -> None:
        """Leave new connections to the other processes."""
        for server in self._servers:
            server.close()
        self._servers = []

    async def drain(self, seconds: float) -> bool:
        """Stop: accept no more, let commands in work finish, say 421; after `seconds` drop the rest.

        Returns whether all sessions went by themselves.
        """
        self.stop_accepting()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        clean = await self._edge.host.registry.drain(seconds)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for task in tuple(self._rechecks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return clean

    async def _listen(self) -> list[asyncio.Server]:
        """Listeners on copies of the sockets: a loop closes what it is given."""
        loop = asyncio.get_running_loop()

        def session() -> SubmissionSession:
            return SubmissionSession(self._edge, loop)

        seconds = self._edge.host.limits.handshake_seconds
        plain = [
            await loop.create_server(session, sock=listener.dup(), backlog=BACKLOG)
            for listener in self._submission
        ]
        secured = [
            await loop.create_server(
                session,
                sock=listener.dup(),
                backlog=BACKLOG,
                ssl=self._tls_context,
                ssl_handshake_timeout=seconds,
            )
            for listener in self._submissions
        ]
        return plain + secured

    def _sweep_all(self) -> None:
        self._edge.host.registry.sweep()
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep_all)

    def _changed(self, _revision: int, changes: tuple[Change, ...]) -> None:
        """Accounts or tenants were changed: sessions that fell with it end at their next command or now."""
        everyone = any(change.kind == RELOADED for change in changes)
        accounts = {change.account_id for change in changes if change.account_id is not None}
        tenants = {change.id for change in changes if change.kind == "tenant"}
        for session in self._edge.host.registry:
            if not isinstance(session, SubmissionSession) or session.identity is None:
                continue
            account = session.identity.account
            if everyone or account.id in accounts or account.tenant_id in tenants:
                task = asyncio.get_running_loop().create_task(session.recheck())
                self._rechecks.add(task)
                task.add_done_callback(self._rechecks.discard)
