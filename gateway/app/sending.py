"""Sending for programs: what the API's process and the command line open, and what mail processes share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING

from gateway.app.parts import Ground, run_folder
from gateway.app.window import ControlWindow
from gateway.control.directory import Directory
from gateway.outgoing.composing import (
    MessageSender,
    OutgoingMessage,
    RawMessage,
    Send,
    SendCeilings,
    SendOptions,
    SentMessage,
)
from gateway.outgoing.composing.answers import away
from gateway.outgoing.intake.door import Intake
from gateway.outgoing.intake.neighbours import Counts, Forwarder, NoCounts, NoRelay
from gateway.outgoing.policy import Ceilings
from gateway.outgoing.queue.records import Records
from gateway.outgoing.queue.store import QueueStore
from gateway.outgoing.signing import KeyCache, Signer
from gateway.system.notify import Hints

if TYPE_CHECKING:
    from gateway.control.records import Actor, KeyRecord
    from gateway.outgoing.intake.refused import RefusedSubmission
    from gateway.system.config import Config

QUEUE_HINT = "queue"
"""The word for "something in a queue can leave now"."""

REVISION_HINT = "revision"
"""The word for "the control plane changed"."""

_THREADS = 2
_PATIENCE_SECONDS = 60.0

Waker = Callable[[], object]


async def open_sender(
    ground: Ground,
    directory: Directory,
    stores: Mapping[str, QueueStore],
    stack: contextlib.AsyncExitStack,
    *,
    wake: Waker = lambda: None,
    counts: Counts | None = None,
) -> MessageSender:
    """The sender of a process without a relay: it leaves messages in `stores` and calls `wake`.

    To be used on the event loop of the stores; what it opens is closed with `stack`. `directory` has been
    started, or refreshed.
    """
    threads = ThreadPoolExecutor(_THREADS, "send")
    stack.callback(threads.shutdown)
    records = open_records(stores, stack)
    intake = make_intake(
        ground,
        ControlWindow(directory),
        stores,
        NoRelay(),
        make_signer(ground),
        threads,
        records,
        counts or NoCounts(),
    )
    limits = ground.config.limits
    return MessageSender(
        directory,
        intake,
        stores,
        clock=ground.clock,
        ids=ground.ids,
        threads=threads,
        ceilings=SendCeilings(limits.message_bytes, limits.recipients_per_message, ceilings(ground.config)),
        wake=wake,
    )


def sending_in(loop: asyncio.AbstractEventLoop, sender: MessageSender) -> Send:
    """The sender for other threads; `loop` is its event loop."""

    def send(
        actor: Actor,
        account: str,
        message: OutgoingMessage | RawMessage,
        options: SendOptions | None = None,
    ) -> SentMessage:
        sending = asyncio.run_coroutine_threadsafe(sender.send(actor, account, message, options), loop)
        try:
            return sending.result(_PATIENCE_SECONDS)
        except TimeoutError:
            # It may be stored all the same: who has given a key can ask again.
            raise away(f"there is no answer after {_PATIENCE_SECONDS:.0f} s") from None

    return send


def sending_alone(ground: Ground) -> Send:
    """The sender for one command, while nothing serves: it opens what it needs for each message."""

    async def send_one(
        actor: Actor, account: str, message: OutgoingMessage | RawMessage, options: SendOptions | None
    ) -> SentMessage:
        async with sender_alone(ground) as sender:
            return await sender.send(actor, account, message, options)

    def send(
        actor: Actor,
        account: str,
        message: OutgoingMessage | RawMessage,
        options: SendOptions | None = None,
    ) -> SentMessage:
        return asyncio.run(send_one(actor, account, message, options))

    return send


@contextlib.asynccontextmanager
async def sender_alone(ground: Ground) -> AsyncIterator[MessageSender]:
    """The sender of a process that does nothing else, while nothing serves. Raises DatabaseAway."""
    async with contextlib.AsyncExitStack() as stack:
        directory = Directory(ground.control, clock=ground.clock)
        stack.callback(directory.stop)
        directory.start()
        stores = await open_stores(ground, f"alone-{ground.ids.uuid()}", stack)
        yield await open_sender(ground, directory, stores, stack)


async def open_stores(
    ground: Ground,
    incarnation: str,
    stack: contextlib.AsyncExitStack,
    on_batch: Callable[[int, float], None] = lambda _size, _seconds: None,
) -> dict[str, QueueStore]:
    """The queues of all locations, started; stopped with `stack`. Raises DatabaseAway."""
    config = ground.config
    stores = {}
    for name, database in ground.locations.items():
        store = QueueStore(
            database,
            ground.blobs(name),
            name,
            incarnation,
            ground.clock,
            node=config.node,
            on_batch=on_batch,
            floor_bytes=config.limits.free_space_bytes + config.limits.message_bytes * 3 // 2,
        )
        await store.start()
        stack.push_async_callback(store.stop)
        stores[name] = store
    return stores


def open_records(stores: Mapping[str, QueueStore], stack: contextlib.AsyncExitStack) -> dict[str, Records]:
    """What is written behind, for each location; handed over to the stores before they stop."""
    records = {name: Records(store) for name, store in stores.items()}
    for one in records.values():
        stack.callback(one.flush)
    return records


def make_intake(
    ground: Ground,
    window: ControlWindow,
    stores: Mapping[str, QueueStore],
    relay: Forwarder,
    signer: Signer,
    threads: Executor,
    records: Mapping[str, Records],
    counts: Counts,
) -> Intake:
    """The one door, as it is in every process."""

    def record_refusal(location: str, record: RefusedSubmission) -> None:
        known = records.get(location)
        if known is not None:
            known.refused(record)

    return Intake(
        directory=window,
        stores=stores,
        relay=relay,
        signer=signer,
        organisational_domain=ground.organisations.domain,
        hostname=ground.config.hostname,
        ceilings=ceilings(ground.config),
        clock=ground.clock,
        ids=ground.ids,
        threads=threads,
        record_refusal=record_refusal,
        counts=counts,
    )


def make_signer(ground: Ground) -> Signer:
    """Signs with the installation's sealed keys."""
    sealer = ground.master_key.sealer("dkim")

    def open_key(record: KeyRecord) -> bytes:
        return sealer.open(
            record.sealed, tenant=record.tenant_id, table="dkim_keys", row=record.id, column="sealed"
        )

    return Signer(KeyCache(open_key))


def open_hints(config: Config, name: str | None = None) -> Hints:
    """The hints of this node, for the process of that name; without one to send only. Close it in the end."""
    return Hints(run_folder(config) / "hints", name)


def ceilings(config: Config) -> Ceilings:
    """What no policy raises, from the configuration's limits."""
    limits = config.limits
    return Ceilings(
        header_fields=limits.header_fields,
        header_bytes=limits.header_bytes,
        hops=limits.hops,
        mime_parts=limits.mime_parts,
        mime_depth=limits.mime_depth,
    )
