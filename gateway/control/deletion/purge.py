"""What happens when a time of grace is over, in this order.

    an account   1. its queued mail is dropped, in each location, with an audit entry for each message
                 2. in one transaction: its app passwords, raised limits and awaited addresses go, its
                    addresses are free, the account is gone
    a domain     1. it waits until no address, and no queued mail by its signature or shard, needs it
                 2. in one transaction: its DKIM keys are destroyed, retired shards under it go, the name is
                    free: another tenant may claim it
    a tenant     1. its queued mail is dropped; its accounts go as above, a hundred at a time
                 2. in one transaction: its DKIM keys are destroyed, then its shards, domains, lists, raised
                    limits, API keys, webhooks and workspaces go, and the tenant
                 3. each location removes deliveries to webhooks and notices of tenants that are gone, by a
                    job of its own (`gateway.outgoing.remains`): it asks what is there, so nothing need be
                    remembered of a location that is away

A step that fails is tried again by the next run. The audit stays: it is what remains of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountRow
from gateway.control.deletion.erasure import erase_account, erase_domain, erase_tenant, is_needed
from gateway.control.domains.model import DomainRow
from gateway.control.keys.model import KeyRow
from gateway.control.records import Actor
from gateway.control.shards.model import ShardRow
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlWrites

_AT_ONCE = 100


class QueuedMail(Protocol):
    """What deleting asks of the queues of all locations. Every method raises ServiceError if one is away."""

    def drop(self, *, tenant_id: str, account_id: str | None) -> bool:
        """Drop the mail of an account, or (None) of a tenant; whether nothing is left of it."""
        ...

    def is_queued(self, shard_id: str) -> bool:
        """Whether mail waits for a shard."""
        ...

    def keys_in_use(self, key_ids: Sequence[str]) -> bool:
        """Whether waiting mail bears a signature by one of these DKIM keys."""
        ...


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What went, by address or name; `put_off` waits for mail that is being sent at this moment."""

    accounts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    put_off: tuple[str, ...] = ()


class Purge:
    """Takes away what has been deleted and whose time of grace is over."""

    def __init__(self, writes: ControlWrites, mail: QueuedMail) -> None:
        self._writes = writes
        self._mail = mail
        self._put_off: list[str] = []

    def run(self, actor: Actor, now: float | None = None) -> PurgeReport:
        """Do all that is due at `now` (seconds since 1970; the clock's time). Raises ServiceError."""
        due = self._writes.clock.now() if now is None else now
        self._put_off = []
        tenants = tuple(name for row_id, name in self._due_tenants(due) if self._tenant(actor, row_id))
        accounts = self._accounts(actor, AccountRow.purge_at <= due)
        domains = tuple(name for row_id, name in self._due_domains(due) if self._domain(actor, row_id))
        return PurgeReport(accounts, domains, tenants, tuple(self._put_off))

    def _due_tenants(self, due: float) -> Sequence[tuple[str, str]]:
        statement = sa.select(TenantRow.id, TenantRow.name).where(TenantRow.purge_at <= due)
        with self._writes.view() as session:
            return [(row.id, row.name) for row in session.execute(statement.order_by(TenantRow.id))]

    def _due_domains(self, due: float) -> Sequence[tuple[str, str]]:
        statement = sa.select(DomainRow.id, DomainRow.name).where(DomainRow.purge_at <= due)
        with self._writes.view() as session:
            return [(row.id, row.name) for row in session.execute(statement.order_by(DomainRow.id))]

    def _tenant(self, actor: Actor, tenant_id: str) -> bool:
        if not self._mail.drop(tenant_id=tenant_id, account_id=None):
            self._put_off.append(f"tenant {tenant_id}")
            return False
        self._accounts(actor, AccountRow.tenant_id == tenant_id)
        with self._writes.change(actor) as change:
            row = change.session.get(TenantRow, tenant_id)
            # Somebody may have called it off, or another run may have been here.
            if row is None or row.purge_at is None or _has_accounts(change.session, tenant_id):
                return False
            erase_tenant(change, row)
            return True

    def _accounts(self, actor: Actor, which: sa.ColumnElement[bool]) -> tuple[str, ...]:
        gone: list[str] = []
        after = ""
        while True:
            statement = sa.select(AccountRow.id, AccountRow.tenant_id).where(which, AccountRow.id > after)
            with self._writes.view() as session:
                found = session.execute(statement.order_by(AccountRow.id).limit(_AT_ONCE)).all()
            if not found:
                return tuple(gone)
            after = found[-1].id
            ready = [row.id for row in found if self._is_dropped(row.tenant_id, row.id)]
            with self._writes.change(actor) as change:
                rows = change.session.scalars(
                    sa.select(AccountRow).where(AccountRow.id.in_(ready), which).order_by(AccountRow.id)
                )
                gone += [erase_account(change, row) for row in rows.all()]

    def _is_dropped(self, tenant_id: str, account_id: str) -> bool:
        dropped = self._mail.drop(tenant_id=tenant_id, account_id=account_id)
        if not dropped:
            self._put_off.append(f"account {account_id}")
        return dropped

    def _domain(self, actor: Actor, domain_id: str) -> bool:
        with self._writes.view() as session:
            shards = session.scalars(sa.select(ShardRow.id).where(ShardRow.domain_id == domain_id)).all()
            keys = session.scalars(sa.select(KeyRow.id).where(KeyRow.domain_id == domain_id)).all()
        waiting = self._mail.keys_in_use(keys) or any(map(self._mail.is_queued, shards))
        with self._writes.change(actor) as change:
            row = change.session.get(DomainRow, domain_id)
            if row is None or row.purge_at is None:
                return False
            if waiting or is_needed(change.session, row):
                self._put_off.append(f"domain {row.name}")
                return False
            erase_domain(change, row)
            return True


def _has_accounts(session: Session, tenant_id: str) -> bool:
    statement = sa.select(AccountRow.id).where(AccountRow.tenant_id == tenant_id).limit(1)
    return session.scalar(statement) is not None
