"""Source addresses: added by the operator, taken by shards by rule."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.clientids import set_client_id
from gateway.control.domains.names import parse_name
from gateway.control.errors import Conflict, Invalid
from gateway.control.lookup import clean_metadata, clean_name, find, not_found, shown
from gateway.control.paging import Page, PageQuery, read_page
from gateway.control.plans.model import PlanRow
from gateway.control.plans.service import find_plan
from gateway.control.recording import record
from gateway.control.records import Actor
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import SourceRow
from gateway.control.sources.view import LISTING, SourceView, source_view, source_views
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlWrites


class SourceService:
    """The operator's service: a caller limited to a tenant finds nothing here."""

    def __init__(self, writes: ControlWrites) -> None:
        self._writes = writes

    def create(
        self,
        actor: Actor,
        *,
        helo: str,
        ipv4: str | None = None,
        ipv6: str | None = None,
        pool: str = "default",
        plans: Sequence[str] = (),
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> SourceView:
        """Add an address; `helo` is the name its PTR shows. Raises Invalid, Conflict, NotFound (a plan)."""
        name = parse_name(helo, what="HELO name")
        four, six = _address(ipv4, 4), _address(ipv6, 6)
        if four is None and six is None:
            raise Invalid(
                "no-address", "A source needs an IPv4 or an IPv6 address.", "Give --ipv4 or --ipv6."
            )
        pool_name, pairs = clean_name(pool, "pool"), clean_metadata(metadata)
        with self._writes.change(actor) as change:
            _operator_only(actor, helo)
            _refuse_taken(change.session, name, four, six)
            row = SourceRow(
                id=change.ids.uuid(),
                helo=name,
                ipv4=four,
                ipv6=six,
                pool=pool_name,
                plans=[find_plan(change.session, plan).name for plan in plans],
                state="active",
                metadata_=pairs,
                created_at=change.now,
                updated_at=change.now,
            )
            set_client_id(change.session, row, client_id)
            change.add(row)
            view = source_view(change.session, row)
            record(change, "source.create", "source", None, view)
            return view

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        pool: str | None = None,
        plans: Sequence[str] | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> SourceView:
        """Change what is given, leave what is None. Shards that send from it now go on doing so.

        `plans` empty: every plan's tenants may use it. Raises NotFound, Invalid, Conflict.
        """
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            before = source_view(change.session, row)
            row.pool = row.pool if pool is None else clean_name(pool, "pool")
            if plans is not None:
                row.plans = [find_plan(change.session, plan).name for plan in plans]
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            row.updated_at = change.now
            change.session.flush()
            view = source_view(change.session, row)
            record(change, "source.update", "source", before, view)
            return view

    def retire(self, actor: Actor, reference: str) -> SourceView:
        """Take an address from its shards, which choose another; it stays in the history."""
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            before = source_view(change.session, row)
            row.state = "retired"
            row.updated_at = change.now
            change.session.flush()
            for shard in _shards_of(change.session, row):
                _choose_again(change.session, shard)
                change.changed("shard", shard.id, tenant_id=shard.tenant_id)
            view = source_view(change.session, row)
            record(change, "source.retire", "source", before, view)
            return view

    def page(self, actor: Actor, query: PageQuery) -> Page[SourceView]:
        """A page of the addresses: the operator's alone.

        Filters: name, pool, state, client_id, metadata.KEY. Sorts: name, created_at, updated_at. Raises
        Invalid.
        """
        with self._writes.view() as session:
            allowed = sa.true() if actor.is_operator else sa.false()
            return read_page(session, actor, LISTING, query, allowed)

    def list(self, actor: Actor) -> tuple[SourceView, ...]:
        """All addresses by HELO name."""
        if not actor.is_operator:
            return ()
        with self._writes.view() as session:
            rows = session.scalars(sa.select(SourceRow).order_by(SourceRow.helo)).all()
            return tuple(source_views(session, rows))

    def show(self, actor: Actor, reference: str) -> SourceView:
        """One address by HELO name or id. Raises NotFound."""
        with self._writes.view() as session:
            return source_view(session, _find(session, actor, reference))


def choose_source(session: Session, plan: str, pool: str | None = None) -> SourceRow | None:
    """The address that a new shard takes: allowed for the plan, with the fewest shards, the oldest of those.

    None where the operator named no addresses: the system's own is used then.
    """
    used = (
        sa.select(sa.func.count())
        .where(ShardRow.source_id == SourceRow.id, ShardRow.state != "retired")
        .scalar_subquery()
    )
    statement = sa.select(SourceRow).where(SourceRow.state == "active").order_by(used, SourceRow.id)
    if pool is not None:
        statement = statement.where(SourceRow.pool == pool)
    rows = session.scalars(statement)
    return next((row for row in rows if not row.plans or plan in row.plans), None)


def _shards_of(session: Session, row: SourceRow) -> list[ShardRow]:
    return list(session.scalars(sa.select(ShardRow).where(ShardRow.source_id == row.id)))


def _choose_again(session: Session, shard: ShardRow) -> None:
    plan = session.scalars(
        sa.select(PlanRow.name)
        .join(TenantRow, TenantRow.plan_id == PlanRow.id)
        .where(TenantRow.id == shard.tenant_id)
    ).one()
    source = choose_source(session, plan)
    shard.source_id = source.id if source is not None else None
    session.flush()


def _operator_only(actor: Actor, reference: str) -> None:
    if not actor.is_operator:
        raise not_found("source", reference)


def _find(session: Session, actor: Actor, reference: str) -> SourceRow:
    _operator_only(actor, reference)
    return find(session, SourceRow, reference, kind="source", name=SourceRow.helo, key=reference.lower())


def _address(text: str | None, version: int) -> str | None:
    if text is None:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or address.version != version or address.is_multicast or address.is_unspecified:
        raise Invalid(
            "bad-address",
            f"{shown(text)} is no IPv{version} address to send from.",
            "Give one of this machine's.",
        )
    return str(address)


def _refuse_taken(session: Session, helo: str, ipv4: str | None, ipv6: str | None) -> None:
    for column, value in ((SourceRow.helo, helo), (SourceRow.ipv4, ipv4), (SourceRow.ipv6, ipv6)):
        if value is None:
            continue
        holder = session.scalar(sa.select(SourceRow.helo).where(column == value))
        if holder is not None:
            raise Conflict(
                "source-exists",
                f"There is a source with {value} already.",
                f"`gatepost source show {holder}` shows it.",
            )
