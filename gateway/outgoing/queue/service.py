"""What operators do with the queues of all locations: for the CLI and the API, in any process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import structlog

from gateway.control.errors import Unavailable
from gateway.control.records import Actor
from gateway.outgoing.queue import reading
from gateway.outgoing.queue.audit import LocationAudit
from gateway.outgoing.queue.commands import Commands, not_found
from gateway.outgoing.queue.pages import MessagePages
from gateway.outgoing.queue.reading import QueueFilter
from gateway.outgoing.queue.states import Step
from gateway.outgoing.queue.views import (
    CredentialUse,
    MessageView,
    QueueRow,
    RefusedView,
    SignInView,
    TraceEvent,
)
from gateway.system.blobs import BlobsAway, BlobStore
from gateway.system.clock import Clock
from gateway.system.database import Database, DatabaseAway
from gateway.system.ids import IdSource

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueueLocation:
    """A location's database and blob store."""

    database: Database
    blobs: BlobStore


class QueueService:
    """The queues of an installation. Every method may raise Unavailable if a database is away."""

    def __init__(
        self, locations: Mapping[str, QueueLocation], clock: Clock, ids: IdSource, audit_key: bytes
    ) -> None:
        """`audit_key`: the control plane's key of the audit chains."""
        self._locations = dict(locations)
        self._clock = clock
        self._audit = LocationAudit(ids, audit_key)
        self.pages = MessagePages({name: at.database for name, at in locations.items()})
        self._log = structlog.get_logger("gateway.outgoing.queue")

    def list(
        self,
        state: str = "live",
        *,
        tenant_id: str | None = None,
        account_id: str | None = None,
        shard_id: str | None = None,
        recipient: str | None = None,
        limit: int = 100,
    ) -> Sequence[QueueRow]:
        """Recipients of all locations, the oldest first. `state`: a state's name, "live" or "all"."""
        wanted = QueueFilter(state, tenant_id, account_id, shard_id, recipient)
        rows = self._gather(lambda c, location: reading.queue_rows(c, wanted, limit, location))
        return sorted(rows, key=lambda row: (row.id, row.n))[:limit]

    def show(self, message_id: str, *, tenant_id: str | None = None) -> MessageView:
        """One message with its recipients. Raises NotFound."""
        found = self._gather(lambda c, location: [reading.message_view(c, message_id, tenant_id, location)])
        for view in found:
            if view is not None:
                return view
        raise not_found(message_id)

    def retry(
        self, actor: Actor, message_id: str, *, recipient: str | None = None, reason: str = ""
    ) -> Sequence[QueueRow]:
        """Try waiting and scheduled recipients now. Raises NotFound, Conflict."""
        return self._change(Step.RETRY, actor, message_id, recipient, reason)

    def hold(
        self, actor: Actor, message_id: str, *, recipient: str | None = None, reason: str = ""
    ) -> Sequence[QueueRow]:
        """Keep recipients back until released; their life clock stands. Raises NotFound, Conflict."""
        return self._change(Step.HOLD, actor, message_id, recipient, reason)

    def release(
        self, actor: Actor, message_id: str, *, recipient: str | None = None, reason: str = ""
    ) -> Sequence[QueueRow]:
        """Let held recipients go. Raises NotFound, Conflict."""
        return self._change(Step.RELEASE, actor, message_id, recipient, reason)

    def drop(
        self, actor: Actor, message_id: str, *, recipient: str | None = None, reason: str = ""
    ) -> Sequence[QueueRow]:
        """Give recipients up without a report. Raises NotFound, Conflict."""
        return self._change(Step.DROP, actor, message_id, recipient, reason)

    def trace(
        self, what: str, *, tenant_id: str | None = None, actor: Actor | None = None
    ) -> Sequence[TraceEvent]:
        """What became of a message: by its id, its Message-ID, or a recipient's address."""
        who = actor or Actor("system", "trace", tenant_id=tenant_id)
        events = self._gather(lambda c, location: reading.trace(c, what, who, location))
        return sorted(events, key=lambda event: (event.message_id, event.at))

    def refused(
        self, *, tenant_id: str | None = None, account_id: str | None = None, limit: int = 100
    ) -> Sequence[RefusedView]:
        """Refused submissions, the newest first."""
        rows = self._gather(lambda c, location: reading.refusals(c, tenant_id, account_id, limit, location))
        return sorted(rows, key=lambda row: row.at, reverse=True)[:limit]

    def logins(self, account_id: str) -> Sequence[SignInView]:
        """An account's last sign-in attempts, the newest first."""
        rows = self._gather(lambda c, _: reading.sign_ins(c, account_id))
        return sorted(rows, key=lambda row: row.at, reverse=True)

    def credential_uses(self, ids: Collection[str]) -> dict[str, CredentialUse]:
        """The last use of each of these app passwords that was used at all."""
        uses: dict[str, CredentialUse] = {}
        for found in self._gather(lambda c, _: [reading.credential_uses(c, ids)]):
            for key, use in found.items():
                if key not in uses or uses[key].last_used_at < use.last_used_at:
                    uses[key] = use
        return uses

    def keys_in_use(self, key_ids: Iterable[str]) -> set[str]:
        """Which of these signing keys a queued message's signature names: they cannot be withdrawn yet."""
        wanted = set(key_ids)
        return set(self._gather(lambda c, _: sorted(reading.keys_in_use(c, wanted))))

    def _gather(self, read: Callable[[Connection, str], Iterable[T]]) -> Sequence[T]:
        found: list[T] = []
        for name, location in self._locations.items():
            try:
                with location.database.read() as connection:
                    found.extend(read(connection, name))
            except DatabaseAway as error:
                raise _away(name, error) from error
        return found

    def _change(
        self, step: Step, actor: Actor, message_id: str, recipient: str | None, reason: str
    ) -> Sequence[QueueRow]:
        name = self.pages.message(actor, message_id).summary.location
        location = self._locations[name]
        commands = Commands(self._audit, name)
        blob_key = None
        try:
            with location.database.write() as connection:
                now = self._clock.now()
                rows = commands.change(connection, actor, step, message_id, recipient, reason, now)
                if step is Step.DROP:
                    blob_key = commands.drop_body(connection, message_id)
        except DatabaseAway as error:
            raise _away(name, error) from error
        if blob_key is not None:
            self._remove_blob(location, blob_key)
        return rows

    def _remove_blob(self, location: QueueLocation, key: str) -> None:
        try:
            location.blobs.delete(key)
        except BlobsAway as error:
            self._log.warning("blob_left_behind", key=key, reason=str(error))


def _away(name: str, error: DatabaseAway) -> Unavailable:
    return Unavailable(
        "location-away",
        f"The queue of location {name} cannot be reached: {error}.",
        "Start the database, or see `gatepost check` for what is wrong.",
    )
