"""The work of notices, on one node of all: events worth telling become mail to their tenant's contacts.

The place in the feed, the note of what was told and the queued message are one transaction: a notice is
never lost and never sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from gateway.control.events.types import spelled_time
from gateway.control.tenants.contacts import account_address, larger_plan, read_addressee
from gateway.jobs import run_leased, until
from gateway.mail.address import AddressError, Mailbox, parse_mailbox
from gateway.outgoing.follower import Follower, Overtaken
from gateway.outgoing.intake.platform import CannotReport
from gateway.outgoing.notices import ledger
from gateway.outgoing.notices.kinds import Draft, draft_of
from gateway.outgoing.notices.templates import Templates
from gateway.outgoing.notices.writer import NoticeWriter
from gateway.outgoing.queue import NewMessage
from gateway.outgoing.queue.insertion import insert_message
from gateway.outgoing.signing import Signatures
from gateway.outgoing.signing.signer import NoSignature
from gateway.system.clock import Clock
from gateway.system.database import Database, DatabaseAway

STALE_SECONDS = 86_400.0
"""What happened longer ago is not told any more: it may have been mended."""

_POLL_SECONDS = 2.0
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class NoticeWords:
    """What every notice may say of the platform."""

    hostname: str
    upgrade_url: str | None = None


Mail = tuple[NewMessage, Signatures]


class NoticeWork:
    """Writes to tenants' contacts. The database is the default location's, where the mail is queued."""

    def __init__(
        self,
        database: Database,
        control: Database,
        follower: Follower,
        templates: Templates,
        writer: Callable[[], AbstractContextManager[NoticeWriter]],
        words: NoticeWords,
        clock: Clock,
    ) -> None:
        """`writer` is opened for each batch of notices: they are rare, and it reads the control plane."""
        self._database = database
        self._control = control
        self._follower = follower
        self._templates = templates
        self._writer = writer
        self._words = words
        self._clock = clock
        self._log = structlog.get_logger("gateway.outgoing.notices")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, whenever no other node does."""
        await run_leased(self._database, "notices", self._work, stop)

    def step(self) -> bool:
        """Look at the next events (blocking); whether there is more at once.

        Raises CannotReport, NoSignature, Overtaken, DatabaseAway; then nothing of this step is stored.
        """
        page = self._follower.read()
        fresh = self._clock.now() - STALE_SECONDS
        drafts = [draft for event in page.events if event.time >= fresh and (draft := draft_of(event))]
        letters = self._letters(drafts)
        self._follower.move(page, partial(self._store, letters) if letters else None)
        return page.more

    def tell(self, drafts: Iterable[Draft]) -> int:
        """Send notices that no event asks for (blocking); how many were not told within the last day.

        Raises CannotReport, NoSignature, DatabaseAway.
        """
        letters = self._letters(drafts)
        if not letters:
            return 0
        with self._database.write() as connection:
            return self._store(letters, connection)

    async def _work(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            more, pause = False, _POLL_SECONDS
            try:
                more = await asyncio.to_thread(self.step)
            except (CannotReport, NoSignature) as error:
                pause = _PATIENCE_SECONDS
                self._log.error("notices_put_off", reason=str(error))
            except DatabaseAway as error:
                self._log.warning("notices_put_off", reason=str(error))
            except Overtaken:
                self._log.warning("events_overtaken")
            if not more:
                await until(ended, pause)

    def _letters(self, drafts: Iterable[Draft]) -> list[tuple[Draft, Sequence[Mail]]]:
        """The drafts that have somebody to be told, with the signed mail to each."""
        drafts = list(drafts)
        if drafts:
            with self._database.read() as connection:
                drafts = ledger.untold(connection, drafts, self._clock.now())
        if not drafts:
            return []
        letters: list[tuple[Draft, Sequence[Mail]]] = []
        with self._writer() as writer, self._control.read() as connection, Session(connection) as session:
            for draft in drafts:
                mail = self._mail(session, writer, draft)
                if mail:
                    letters.append((draft, mail))
        return letters

    def _mail(self, session: Session, writer: NoticeWriter, draft: Draft) -> list[Mail]:
        addressee = read_addressee(session, draft.tenant_id)
        contacts = self._mailboxes(draft, addressee.contacts) if addressee is not None else []
        if addressee is None or not contacts:
            return []
        plan = larger_plan(session, addressee.plan, draft.limit) if draft.limit is not None else None
        address = account_address(session, draft.tenant_id, draft.account_id) if draft.account_id else None
        values = {
            **draft.values,
            **({"whose": address} if address is not None else {}),
            "tenant": addressee.name,
            "plan": addressee.plan,
            "next_plan": plan or "",
            "upgrade_url": self._words.upgrade_url or "",
            "upgrade": self._upgrade(plan) if draft.limit is not None else "",
            "hostname": self._words.hostname,
            "time": f"{spelled_time(draft.at)[:16].replace('T', ' ')} UTC",
        }
        letter = self._templates.render(draft.kind, values)
        written = [writer.write(letter, contact, self._clock.now()) for contact in contacts]
        return [(message, message.sign()) for message in written]

    def _upgrade(self, plan: str | None) -> str:
        """The sentence that names the next plan, and where to get it."""
        if plan is None:
            return ""
        where = self._words.upgrade_url
        return f"The plan {plan} has room for more" + (f": {where}" if where is not None else ".")

    def _mailboxes(self, draft: Draft, contacts: Iterable[str]) -> list[Mailbox]:
        found = []
        for contact in contacts:
            try:
                found.append(parse_mailbox(contact, smtputf8=True))
            except AddressError as error:
                self._log.error("contact_unusable", tenant_id=draft.tenant_id, reason=str(error))
        return found

    def _store(self, letters: Sequence[tuple[Draft, Sequence[Mail]]], connection: Connection) -> int:
        now, told = self._clock.now(), 0
        for draft, mail in letters:
            if not ledger.note(connection, draft, now):
                continue
            told += 1
            for message, signatures in mail:
                insert_message(connection, message, signatures, now)
            self._log.info("notice", tenant_id=draft.tenant_id, kind=draft.kind, messages=len(mail))
        ledger.forget(connection, now)
        return told
