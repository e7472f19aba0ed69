"""Shards: made under a tenant, given a route and a source address, paused, resumed, retired."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.ceilings import SHARDS, leave_room
from gateway.control.clientids import set_client_id
from gateway.control.domains.names import parse_name
from gateway.control.errors import Conflict, Forbidden, Invalid
from gateway.control.installation.vault import Vault
from gateway.control.keys.material import KeyMaterial
from gateway.control.keys.service import KeyService
from gateway.control.lookup import clean_metadata, environment_for, find, parse_environment, shown
from gateway.control.paging import Page, PageQuery, in_parts, read_page
from gateway.control.plans.model import PlanRow
from gateway.control.recording import record
from gateway.control.records import Actor, Environment
from gateway.control.settings import ControlSettings
from gateway.control.shards.listing import LISTING
from gateway.control.shards.model import ShardRow
from gateway.control.shards.place import place_of, refuse_route
from gateway.control.shards.route import Credentials, Route, parse_route, seal_credentials
from gateway.control.shards.view import ShardView, shard_view, shard_views
from gateway.control.sources.service import choose_source
from gateway.control.tenants.find import changeable_tenant, find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import operator_only, visible

_STREAM = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_MOST_STREAMS = 20
_WEIGHTS = range(1, 1001)
_NEVER_LEAVES = ("capture", "local")


class ShardService:
    """Rules and transactions of shards."""

    def __init__(
        self, writes: ControlWrites, keys: KeyService, vault: Vault, settings: ControlSettings
    ) -> None:
        self._writes = writes
        self._keys = keys
        self._vault = vault
        self._settings = settings

    def create(
        self,
        actor: Actor,
        name: str,
        *,
        tenant: str,
        environment: str = "production",
        route: str | None = None,
        streams: Sequence[str] = (),
        weight: int = 1,
        sign: bool = False,
        pool: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ShardView:
        """Make a shard. Without `route`: the configured default in production, `capture:` elsewhere.

        `streams` empty: any. `weight` 1 to 1000. `sign`: it adds a signature of its own, with a key made
        here. `pool`: of source addresses. Raises Invalid, Conflict, Forbidden, NotFound.
        """
        ascii_name = parse_name(name, what="shard")
        known = environment_for(actor, environment)
        words, pairs = clean_streams(streams), clean_metadata(metadata)
        material = self._keys.make() if sign else None
        with self._writes.change(actor) as change:
            owner = changeable_tenant(change.session, actor, tenant)
            living = ShardRow.tenant_id == owner.id, ShardRow.state != "retired"
            leave_room(change.session, actor, SHARDS, ShardRow.id, *living)
            row = self.add(
                change, owner, ascii_name, environment=known, route=route, weight=weight, pool=pool
            )
            row.streams, row.metadata_ = words, pairs
            set_client_id(change.session, row, client_id)
            self._sign(change, row, material)
            return self._audited(change, "shard.create", None, row)

    def route(self, actor: Actor, reference: str, url: str) -> ShardView:
        """Let a shard's mail leave another way. Raises NotFound, Invalid, Forbidden."""
        route, credentials = parse_route(url)
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            refuse_route(actor, route)
            before = shard_view(change.session, row)
            self._set_route(change, row, route, credentials)
            return self._audited(change, "shard.route", before, row)

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        weight: int | None = None,
        streams: Sequence[str] | None = None,
        sign: bool | None = None,
        route: str | None = None,
        pool: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ShardView:
        """Change what is given, leave what is None. `pool`: it takes a source address of that pool.

        Raises NotFound, Invalid, Conflict, Forbidden.
        """
        words = clean_streams(streams) if streams is not None else None
        material = self._keys.make() if sign else None
        way = parse_route(route) if route is not None else None
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            before = shard_view(change.session, row)
            row.weight = row.weight if weight is None else _weight(weight)
            row.streams = row.streams if words is None else words
            if sign is not None and sign != row.sign:
                row.sign = False
                self._sign(change, row, material)
            if way is not None:
                refuse_route(actor, way[0])
                self._set_route(change, row, *way)
            if pool is not None:
                _take_source(change.session, row, pool)
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            return self._audited(change, "shard.update", before, row)

    def pause(self, actor: Actor, reference: str) -> ShardView:
        """Stop attempts through a shard; its mail waits. Raises NotFound, Conflict.

        What the operator paused only the operator resumes.
        """
        return self._move(actor, reference, "shard.pause", "paused", ("active",))

    def resume(self, actor: Actor, reference: str) -> ShardView:
        """Let a paused shard send again. Raises NotFound, Conflict, Forbidden."""
        return self._move(actor, reference, "shard.resume", "active", ("paused",))

    def retire(self, actor: Actor, reference: str) -> ShardView:
        """Choose a shard no more for new mail; what it has queued still leaves. Raises NotFound, Conflict."""
        return self._move(actor, reference, "shard.retire", "retired", ("active", "paused"))

    def page(self, actor: Actor, query: PageQuery) -> Page[ShardView]:
        """A page of the shards the caller may see.

        Filters: name, tenant, domain, environment, state, client_id, metadata.KEY. Sorts: name, created_at,
        updated_at. Raises Invalid, NotFound.
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, visible(actor, ShardRow))

    def list(
        self, actor: Actor, *, tenant: str | None = None, environment: str | None = None
    ) -> tuple[ShardView, ...]:
        """Shards by name; of a tenant, an environment if given. Raises NotFound, Invalid."""
        with self._writes.view() as session:
            statement = sa.select(ShardRow).where(visible(actor, ShardRow))
            if tenant is not None:
                statement = statement.where(ShardRow.tenant_id == find_tenant(session, actor, tenant).id)
            if environment is not None:
                statement = statement.where(ShardRow.environment == parse_environment(environment))
            rows = session.scalars(statement.order_by(ShardRow.name)).all()
            return in_parts(session, rows, shard_views)

    def show(self, actor: Actor, reference: str) -> ShardView:
        """One shard by name or id. Raises NotFound."""
        with self._writes.view() as session:
            return shard_view(session, _find(session, actor, reference))

    # For other services, inside their transactions

    def add(
        self,
        change: ControlChange,
        owner: TenantRow,
        name: str,
        *,
        environment: Environment,
        route: str | None = None,
        weight: int = 1,
        pool: str | None = None,
    ) -> ShardRow:
        """Store a shard, with its route and the source address that the rule gives it."""
        domain = place_of(change, self._settings, owner, name, environment)
        default = self._settings.default_route if environment == "production" else "capture:"
        parsed, credentials = parse_route(default if route is None else route)
        if route is not None:
            refuse_route(change.actor, parsed)
        plan = change.session.get_one(PlanRow, owner.plan_id)
        source = choose_source(change.session, plan.name, pool)
        row = ShardRow(
            id=change.ids.uuid(),
            name=name,
            tenant_id=owner.id,
            environment=environment,
            domain_id=domain.id if domain is not None else None,
            route=parsed.url,
            weight=_weight(weight),
            streams=[],
            state="active",
            source_id=source.id if source is not None else None,
            sign=False,
            stopped_by_operator=False,
            metadata_={},
            created_at=change.now,
            updated_at=change.now,
        )
        self._set_route(change, row, parsed, credentials)
        change.add(row)
        change.changed("shard", row.id, tenant_id=row.tenant_id)
        return row

    def _set_route(
        self, change: ControlChange, row: ShardRow, route: Route, credentials: Credentials | None
    ) -> None:
        stays = route.kind in _NEVER_LEAVES
        if row.environment != "production" and not stays and not self._settings.may_leave:
            raise Forbidden(
                "not-production",
                f"The shard {row.name} is of the environment {row.environment}, whose mail never leaves.",
                "Use capture:, or list in [relay] allowed_recipients who may get test mail.",
            )
        row.route = route.url
        row.route_sealed = None
        if credentials is not None:
            sealer = self._vault.sealer(change, "route")
            row.route_sealed = seal_credentials(sealer, credentials, tenant_id=row.tenant_id, shard_id=row.id)

    def _sign(self, change: ControlChange, row: ShardRow, material: KeyMaterial | None) -> None:
        if material is not None:
            row.sign = True
            change.session.flush()
            self._keys.begin(change, row, material)

    def _move(
        self, actor: Actor, reference: str, operation: str, state: str, allowed: tuple[str, ...]
    ) -> ShardView:
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            if row.state not in allowed:
                raise Conflict(
                    "wrong-state",
                    f"The shard {row.name} is {row.state}.",
                    f"Only {' or '.join(allowed)} shards can become {state}.",
                )
            if row.state == "paused" and row.stopped_by_operator:
                operator_only(actor, f"The operator has paused {row.name}.")
            before = shard_view(change.session, row)
            row.state = state
            row.stopped_by_operator = state == "paused" and actor.is_operator
            return self._audited(change, operation, before, row)

    def _audited(
        self, change: ControlChange, operation: str, before: ShardView | None, row: ShardRow
    ) -> ShardView:
        row.updated_at = change.now
        change.session.flush()
        after = shard_view(change.session, row)
        record(change, operation, "shard", before, after)
        return after


def clean_streams(streams: Sequence[str]) -> list[str]:
    """Stream names, sorted, each once. Raises Invalid."""
    for stream in streams:
        if not _STREAM.fullmatch(stream):
            raise Invalid(
                "bad-stream",
                f"{shown(stream)} is no stream.",
                "Use letters, digits and hyphens: transactional.",
            )
    words = sorted(set(streams))
    if len(words) > _MOST_STREAMS:
        raise Invalid(
            "too-many-streams", f"{len(words)} streams are too many.", f"Name {_MOST_STREAMS} at most."
        )
    return words


def _take_source(session: Session, row: ShardRow, pool: str) -> None:
    """Send from an address of the pool that the tenant's plan allows. Raises Conflict."""
    owner = session.get_one(TenantRow, row.tenant_id)
    source = choose_source(session, session.get_one(PlanRow, owner.plan_id).name, pool)
    if source is None:
        raise Conflict(
            "no-source",
            f"The pool {shown(pool)} has no address for {row.name}.",
            "`gatepost source list` shows pools, states and the plans that may use each address.",
        )
    row.source_id = source.id


def _weight(weight: int) -> int:
    if weight not in _WEIGHTS:
        raise Invalid("bad-weight", f"{weight} is no weight.", "Give a whole number from 1 to 1000.")
    return weight


def _find(session: Session, actor: Actor, reference: str) -> ShardRow:
    return find(
        session,
        ShardRow,
        reference,
        kind="shard",
        name=ShardRow.name,
        key=reference.lower(),
        visible=visible(actor, ShardRow),
    )
