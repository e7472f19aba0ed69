"""A mail process: submission sessions and the relay on one event loop, a store thread for each location."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
import uvloop

from gateway.app.parts import Ground, capture_folder, opened, run_folder
from gateway.app.sending import (
    QUEUE_HINT,
    REVISION_HINT,
    make_intake,
    make_signer,
    open_hints,
    open_records,
    open_stores,
)
from gateway.app.window import ControlWindow
from gateway.control.credentials.authenticator import Authenticator
from gateway.control.credentials.guesses import GuessTable
from gateway.control.credentials.hashing import HashPool
from gateway.control.credentials.signin import SignIn
from gateway.control.directory import Directory
from gateway.control.records import Identity
from gateway.control.shards.route import open_credentials
from gateway.edges.smtp.host import SmtpHost
from gateway.edges.smtp.limits import SessionLimits
from gateway.edges.smtp.registry import SessionRegistry
from gateway.edges.submission.edge import SubmissionEdge
from gateway.edges.submission.server import SubmissionServer
from gateway.outgoing.intake.door import Intake
from gateway.outgoing.intake.reports import ReportWriter
from gateway.outgoing.queue.records import Records
from gateway.outgoing.queue.store import QueueStore
from gateway.outgoing.relay.ledger import dead_ledgers
from gateway.outgoing.relay.relay import Relay, RelaySettings
from gateway.outgoing.signing import Signer
from gateway.system.config import Config, ConfigError, load
from gateway.system.database import DatabaseAway
from gateway.system.dns import HostsFile, Resolver, ServerQuery
from gateway.system.heap import return_large_blocks
from gateway.system.log import configure
from gateway.system.metrics import Metrics, serve_metrics
from gateway.system.sharedmemory import SharedSlots
from gateway.system.tls import ServerTls, TlsError

if TYPE_CHECKING:
    from gateway.supervisor import ChildContext

MAIL = "mail"
_COUNT_SECONDS = 15.0
_THREADS = 2
_SESSIONS_SHARE = 0.5
"""Of the time for draining, for sessions: a client that stalls must not cost the relay its own share."""


@dataclass(frozen=True)
class Shared:
    """Memory that was made before the fork: what all processes of the node count together."""

    guesses: GuessTable
    connections: SharedSlots
    relays: SharedSlots
    tls: ServerTls | None

    def forget_process(self, number: int) -> None:
        """Free what a process that died held."""
        self.connections.clear(number)
        self.relays.clear(number)


def run_mail(context: ChildContext) -> int:
    """The entry of a mail process; its exit status."""
    assert isinstance(context.shared, Shared)
    return_large_blocks()
    configure(level=context.config.log_level, process=context.name)
    with opened(context.config) as ground:
        return uvloop.run(MailProcess(ground, context.shared, context).run())


class MailProcess:
    """The parts of a mail process, built, started and stopped in order."""

    def __init__(self, ground: Ground, shared: Shared, context: ChildContext) -> None:
        self._ground = ground
        self._shared = shared
        self._context = context
        self._metrics = Metrics()
        self._log = structlog.get_logger("gateway.app")
        self._stop: asyncio.Event
        self._stores: Mapping[str, QueueStore] = {}
        self._records: dict[str, Records] = {}
        self._drain_until = 0.0
        self._organisations = ground.organisations

    async def run(self) -> int:
        """Serve until SIGTERM, then drain."""
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        reload = asyncio.Event()
        self._context.attach(
            loop, on_drain=self._stop.set, on_reload=reload.set, on_lag=self._metrics.process.loop_lag
        )
        async with contextlib.AsyncExitStack() as stack:
            server = await self._start(stack)
            reloading = loop.create_task(self._reload_when(reload, server))
            stack.callback(reloading.cancel)
            if self._context.index == 0:
                counting = loop.create_task(self._count_queues())
                stack.callback(counting.cancel)
            await server.start()
            self._context.ready()
            await self._stop.wait()
            seconds = self._ground.config.limits.drain_seconds
            self._drain_until = loop.time() + seconds
            await server.drain(seconds * _SESSIONS_SHARE)
        return 0

    async def _drain_relay(self, relay: Relay) -> None:
        """In half of what the sessions left, so that outcomes are written before patience ends."""
        await relay.drain(max(1.0, self._drain_until - asyncio.get_running_loop().time()) / 2)

    async def _start(self, stack: contextlib.AsyncExitStack) -> SubmissionServer:
        """Build everything; what is pushed on `stack` is stopped in reverse."""
        ground, config = self._ground, self._ground.config
        directory = Directory(ground.control, clock=ground.clock)
        directory.start(asyncio.get_running_loop())
        stack.callback(directory.stop)
        directory.subscribe(lambda revision, _: self._metrics.process.control_revision(revision))
        window = ControlWindow(directory)
        self._stores = await self._open_stores(stack)
        signer = make_signer(ground)
        reports = ReportWriter(
            directory=window,
            signer=signer,
            organisational_domain=self._organisations.domain,
            hostname=config.hostname,
            clock=ground.clock,
            ids=ground.ids,
        )
        relay = self._make_relay(window, signer, reports)
        relay.start()
        stack.push_async_callback(self._drain_relay, relay)
        self._take_hints(relay, directory, stack)
        threads = ThreadPoolExecutor(_THREADS, "intake")
        stack.callback(threads.shutdown)
        intake = make_intake(
            ground, window, self._stores, relay, signer, threads, self._records, self._metrics.intake
        )
        pool = HashPool(config.auth.hashing_threads)
        stack.callback(pool.close)
        authenticator = Authenticator(
            directory,
            self._shared.guesses,
            pool,
            tag_key=ground.installation.durable_key("credential-tag"),
            clock=ground.clock,
            sink=partial(self._record_sign_in, directory),
        )
        stack.callback(authenticator.close)
        await self._serve_metrics(stack)
        return self._make_server(directory, authenticator, intake)

    async def _open_stores(self, stack: contextlib.AsyncExitStack) -> Mapping[str, QueueStore]:
        context = self._context
        stores = await open_stores(self._ground, context.incarnation, stack, self._metrics.queue.batch)
        self._records = open_records(stores, stack)
        await recover_dead(stores, self._ground.config, context.dead_incarnations)
        return stores

    def _take_hints(self, relay: Relay, directory: Directory, stack: contextlib.AsyncExitStack) -> None:
        """Look at once when another process stored something for the relay or changed the control plane."""
        hints = open_hints(self._ground.config, self._context.name)
        stack.callback(hints.close)

        def take(word: str) -> None:
            if word == QUEUE_HINT:
                relay.wake()
            elif word == REVISION_HINT:
                directory.wake()

        loop = asyncio.get_running_loop()
        loop.add_reader(hints.fileno(), hints.receive, take)
        stack.callback(loop.remove_reader, hints.fileno())

    def _make_relay(self, window: ControlWindow, signer: Signer, reports: ReportWriter) -> Relay:
        ground, config, context = self._ground, self._ground.config, self._context
        sealer = ground.master_key.sealer("route")
        return Relay(
            self._stores,
            window,
            signer,
            ground.return_paths,
            lambda shard: open_credentials(sealer, shard),
            Resolver(ServerQuery(config.dns.servers), ground.clock, HostsFile()),
            self._shared.relays,
            reports,
            ground.clock,
            RelaySettings(
                hostname=config.hostname,
                capture_folder=capture_folder(config),
                run_folder=run_folder(config),
                incarnation=context.incarnation,
                own_names=frozenset({config.hostname}),
                allowed_recipients=frozenset(config.relay.allowed_recipients),
                port=config.relay.port,
                allow_private=config.relay.allow_private,
                ca_file=config.relay.ca_file,
                process_index=context.number,
                processes=config.workers,
            ),
            metrics=self._metrics.relay,
        )

    def _make_server(
        self, directory: Directory, authenticator: Authenticator, intake: Intake
    ) -> SubmissionServer:
        ground, config = self._ground, self._ground.config
        tls = self._shared.tls
        host = SmtpHost(
            hostname=config.hostname,
            limits=session_limits(config),
            clock=ground.clock,
            ids=ground.ids,
            registry=SessionRegistry(ground.clock),
            log=structlog.get_logger("gateway.edges.submission"),
            tls=lambda: tls.context if tls is not None else None,
            metrics=self._metrics.smtp,
        )
        edge = SubmissionEdge(
            host, authenticator, directory, intake, self._shared.connections, self._context.number
        )
        sockets = self._context.sockets
        return SubmissionServer(
            edge, submission=sockets.get("submission", ()), submissions=sockets.get("submissions", ())
        )

    def _record_sign_in(self, directory: Directory, entry: SignIn) -> None:
        found = directory.identity_now(entry.account_id, None)
        location = found.workspace.location if isinstance(found, Identity) else None
        records = self._records.get(location or self._ground.config.default_location)
        if records is not None:
            records.sign_in(entry)

    async def _serve_metrics(self, stack: contextlib.AsyncExitStack) -> None:
        for listener in self._context.sockets.get("metrics", ()):
            server = await serve_metrics(self._metrics, listener)
            stack.callback(server.close)

    async def _reload_when(self, asked: asyncio.Event, server: SubmissionServer) -> None:
        while True:
            await asked.wait()
            asked.clear()
            await server.reload(self._reloaded_limits())
            self._context.reloaded()

    async def _count_queues(self) -> None:
        """Let the metrics of one process show how much waits in each location."""
        while True:
            for name, store in self._stores.items():
                try:
                    for state, count in (await store.count_live()).items():
                        self._metrics.queue.recipients(name, state, count)
                except DatabaseAway as error:
                    self._log.warning("queue_not_counted", location=name, reason=str(error))
            await asyncio.sleep(_COUNT_SECONDS)

    def _reloaded_limits(self) -> SessionLimits | None:
        """Take the certificate that the configuration names now, and give its limits.

        A bad configuration or certificate leaves the old one in force.
        """
        try:
            config = load(self._ground.config.path, os.environ)
            if self._shared.tls is not None and config.tls is not None:
                self._shared.tls.reload(config.tls)
        except (ConfigError, TlsError) as error:
            self._log.error("reload_refused", reason=str(error))
            return None
        return session_limits(config)


async def recover_dead(stores: Mapping[str, QueueStore], config: Config, dead: tuple[str, ...]) -> None:
    """Free what dead processes of this node held; their ledgers tell what may have been delivered.

    A ledger without a living owner is a dead process's, whoever its supervisor was: after the whole
    gateway was killed nobody else knows their names.
    """
    ledgers = {ledger.incarnation: ledger for ledger in dead_ledgers(run_folder(config))}
    for incarnation in {*dead, *ledgers}:
        ledger = ledgers.get(incarnation)
        marks = None
        if ledger is not None and ledger.is_whole:
            marks = {(mark.message_id, mark.n) for mark in ledger.marks}
        for store in stores.values():
            await store.recover([incarnation], marks)
        if ledger is not None:
            ledger.forget()


def session_limits(config: Config) -> SessionLimits:
    """The session's limits from the configuration's."""
    limits = config.limits
    return SessionLimits(
        message_octets=limits.message_bytes,
        recipients=limits.recipients_per_message,
        errors=limits.errors_per_connection,
        login_attempts=config.auth.tries_per_connection,
        commands=limits.commands_per_connection,
        junk_commands=limits.junk_commands_per_connection,
        connections=limits.connections_per_process,
        connections_per_address=limits.connections_per_address,
        login_seconds=limits.auth_seconds,
        idle_seconds=limits.idle_seconds,
        command_seconds=limits.command_seconds,
        content_octets_per_second=limits.data_bytes_per_second,
    )
