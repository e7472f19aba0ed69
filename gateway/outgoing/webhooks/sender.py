"""Sending deliveries: signed, a few at once, each outcome written before its place is free again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol, TypeVar

import structlog
from sqlalchemy import Connection

from gateway.control.webhooks.records import WebhookBook, WebhookRecord
from gateway.outgoing.webhooks import store
from gateway.outgoing.webhooks.signature import signed_fields
from gateway.outgoing.webhooks.slots import SLOW_SECONDS, Slots
from gateway.outgoing.webhooks.values import Attempt, Delivery
from gateway.system.clock import Clock
from gateway.system.database import Database, DatabaseAway
from gateway.system.secrets import Sealer, SecretError
from gateway.system.webclient import Target, WebError, parse_target

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
_POLL_SECONDS = 1.0
_MOST_PICKED = 256
_MOST_AT_ONCE = 8
_LAST_SECONDS = 5.0

T = TypeVar("T")


class Client(Protocol):
    """What sends: see gateway.system.webclient.WebClient."""

    async def post(self, target: Target, fields: dict[str, str], body: bytes) -> int:
        """Send and return the answer's status. Raises WebError."""
        ...


class Sender:
    """Sends what is due until it is told to stop. A delivery may be sent twice, never not at all."""

    def __init__(
        self,
        database: Database,
        book: WebhookBook,
        client: Client,
        sealer: Sealer,
        disable: Callable[[str, str], object],
        clock: Clock,
        random: Callable[[], float],
        threads: Executor,
        *,
        allow_private: bool = False,
        agent: str = "Gatepost",
        slots: Slots | None = None,
    ) -> None:
        """`disable(webhook_id, reason)` blocks, as everything that asks a database: it runs in `threads`."""
        self._database = database
        self._book = book
        self._client = client
        self._sealer = sealer
        self._disable = disable
        self._clock = clock
        self._random = random
        self._threads = threads
        self._allow_private = allow_private
        self._agent = agent
        self._slots = slots or Slots()
        self._ended: list[Attempt] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("gateway.outgoing.webhooks")

    def wake(self) -> None:
        """There may be something new to send: a hint, from the loop."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then let what is on its way end soon."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self.turn()
                waking = asyncio.create_task(self._wake.wait())
                await asyncio.wait(
                    (waking, stopping), timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                waking.cancel()
                self._wake.clear()
        finally:
            stopping.cancel()
            await self._end()

    async def turn(self) -> None:
        """Write what has ended, and start what is due and has room."""
        ended, self._ended = self._ended, []
        try:
            picked = await self._in_thread(lambda: self._write_and_pick(ended))
        except DatabaseAway as error:
            # Their places stay taken: none of them is sent again before its outcome is written.
            self._ended = ended + self._ended
            self._log.warning("webhooks_put_off", reason=str(error))
            return
        for attempt in ended:
            smooth = attempt.succeeded and attempt.seconds < SLOW_SECONDS
            self._slots.give_back(attempt.delivery.id, smooth=smooth)
        for webhook, delivery in picked:
            self._start(webhook, delivery)

    @property
    def busy(self) -> bool:
        """Whether something is on its way, or its outcome is not yet written."""
        return len(self._slots) > 0

    async def idle(self) -> None:
        """Wait until nothing is on its way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, webhook: WebhookRecord, delivery: Delivery) -> None:
        if delivery.id in self._slots or not self._slots.free(webhook.id, webhook.tenant_id):
            return
        self._slots.take(delivery.id, webhook.id, webhook.tenant_id)
        task = asyncio.create_task(self._attempt(webhook, delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, webhook: WebhookRecord, delivery: Delivery) -> None:
        began, status, error = self._clock.monotonic(), None, None
        try:
            status = await self._send(webhook, delivery)
        except WebError as trouble:
            error = str(trouble)
            if trouble.seen is not None:
                self._log.warning(
                    "webhook_refused", webhook_id=webhook.id, reason=error, address=trouble.seen
                )
        except SecretError as trouble:
            error = "the secret of the webhook cannot be opened"
            self._log.error("webhook_secret_closed", webhook_id=webhook.id, reason=str(trouble))
        except Exception:  # noqa: BLE001 - one delivery must not end the others; it is tried again
            error = "an internal error"
            self._log.exception("webhook_failed", webhook_id=webhook.id, delivery_id=delivery.id)
        attempt = Attempt(
            delivery, self._clock.now(), self._clock.monotonic() - began, status=status, error=error
        )
        self._ended.append(attempt)
        self._wake.set()

    async def _send(self, webhook: WebhookRecord, delivery: Delivery) -> int:
        now, body = self._clock.now(), delivery.body.encode()
        fields = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": self._agent,
            **signed_fields(webhook.open_secrets(self._sealer, now), delivery.event_id, now, body),
        }
        target = parse_target(webhook.url, allow_private=self._allow_private)
        return await self._client.post(target, fields, body)

    def _write_and_pick(self, ended: list[Attempt]) -> list[tuple[WebhookRecord, Delivery]]:
        """In a thread, while nothing else touches the places: outcomes first, then what is due."""
        for webhook_id in {attempt.delivery.webhook_id for attempt in ended if attempt.gone}:
            self._disable(webhook_id, "the receiver answered 410 Gone")
        self._write(ended)
        webhooks = self._book.refresh()
        with self._database.read() as connection:
            waiting = store.waiting_webhooks(connection)
            active = [webhooks[one] for one in waiting if one in webhooks and webhooks[one].state == "active"]
            picked = self._pick(connection, active, len(ended))
        self._skip([one for one in waiting if one not in webhooks or webhooks[one].state == "disabled"])
        return picked

    def _pick(
        self, connection: Connection, webhooks: list[WebhookRecord], ended: int
    ) -> list[tuple[WebhookRecord, Delivery]]:
        """What is due and may find a place, of those webhooks first that have the fewest on their way."""
        picked: list[tuple[WebhookRecord, Delivery]] = []
        for webhook in sorted(webhooks, key=lambda one: self._slots.taken_by(one.id)):
            room = self._slots.free(webhook.id, webhook.tenant_id) + ended
            if room:
                # Those on their way are pending too.
                limit = min(room, _MOST_AT_ONCE) + self._slots.taken_by(webhook.id)
                found = store.due(connection, webhook.id, self._clock.now(), limit)
                picked += [(webhook, one) for one in found]
            if len(picked) >= _MOST_PICKED:
                break
        return picked

    def _skip(self, webhook_ids: list[str]) -> None:
        if webhook_ids:
            with self._database.write() as connection:
                store.skip(connection, webhook_ids, self._clock.now())

    async def _end(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)
        for task in self._tasks:
            task.cancel()
        ended, self._ended = self._ended, []
        try:
            await self._in_thread(lambda: self._write(ended))
        except DatabaseAway as error:
            self._log.warning("webhooks_not_written", attempts=len(ended), reason=str(error))

    def _write(self, ended: list[Attempt]) -> None:
        if not ended:
            return
        with self._database.write() as connection:
            store.record(connection, ended, self._random)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)
