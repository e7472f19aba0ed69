"""Whether an attempt may be made now, by which way, and what then goes over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.mail.headers import HeaderBlock, parse_header, split_message
from gateway.outgoing.relay.routes import CaptureRoute, Route, RouteError, route_of
from gateway.outgoing.relay.transaction import Mail

if TYPE_CHECKING:
    from gateway.control.directory import Refused
    from gateway.control.policies import EffectivePolicy
    from gateway.control.records import DomainRecord, Identity, KeyRecord, ShardRecord, TenantRecord
    from gateway.control.shards.route import Credentials
    from gateway.outgoing.queue import Delivery, StoredContent, StoredMessage
    from gateway.outgoing.signing import Signatures

OpenCredentials = Callable[["ShardRecord"], "Credentials | None"]
"""Opens a shard's sealed route credentials; may raise anything, which makes the mail wait."""

_OWN_ORIGINS = frozenset({"dsn", "report", "system"})
_NO_SHARD = "its shard no longer exists"


class ControlView(Protocol):
    """What the relay asks of the control plane, all from memory but `identity`."""

    def is_fresh(self) -> bool: ...
    def tenant(self, tenant_id: str) -> TenantRecord | None: ...
    def shard(self, shard_id: str) -> ShardRecord | None: ...
    def domain(self, name: str) -> DomainRecord | None: ...
    def key(self, key_id: str) -> KeyRecord | None: ...
    def keys_of(self, domain_name: str) -> tuple[KeyRecord, ...]: ...
    def effective_policy(self, tenant_id: str, workspace_id: str) -> EffectivePolicy: ...
    def identity_now(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused | None: ...
    async def identity(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused: ...
    def paused_shards(self) -> frozenset[str]: ...
    def suspended_tenants(self) -> frozenset[str]: ...


class Signing(Protocol):
    """What the relay asks of `outgoing.signing.Signer`."""

    def resign(
        self, header: HeaderBlock, body_hash: bytes, keys: Sequence[KeyRecord], now: float
    ) -> Signatures: ...


class ReturnPathMaker(Protocol):
    """What the relay asks of `outgoing.shards.ReturnPaths`."""

    def address(self, message_id: str, shard_name: str) -> str: ...


StillStands = Callable[["Signatures", "Iterable[KeyRecord | None]", float], bool]
"""`outgoing.signing.still_stands`."""


@dataclass(frozen=True, slots=True)
class Go:
    """The attempt may be made: by this route."""

    shard: ShardRecord
    route: Route


@dataclass(frozen=True, slots=True)
class Park:
    """Until its shard or tenant (`why`) is resumed."""

    why: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now, for a reason of ours: an ordinary deferral with this text."""

    enhanced: str
    reason: str


class Clearance:
    """Decides from the control plane as it is at this moment, before each attempt.

    Non-production mail is captured unless its recipient is among `allowed_recipients` (addresses
    or domains, lower case).
    """

    def __init__(
        self,
        control: ControlView,
        open_credentials: OpenCredentials,
        *,
        allowed_recipients: frozenset[str] = frozenset(),
    ) -> None:
        self._control = control
        self._open_credentials = open_credentials
        self._allowed = allowed_recipients
        self._routes: dict[str, tuple[ShardRecord, Route]] = {}

    def decide(self, delivery: Delivery) -> Go | Park | Later:
        """May this delivery be attempted now? Accounts are asked for in `account_waits`."""
        message = delivery.message
        tenant = self._control.tenant(message.tenant_id)
        if tenant is None or tenant.status != "active":
            return Park("tenant")
        shard = self._control.shard(delivery.shard_id)
        if shard is None:
            return Later("4.3.5", _NO_SHARD)
        if shard.state == "paused":
            return Park("shard")
        if shard.environment != "production" and not self._is_allowed(delivery):
            route = self._plain_route(shard)
            return Go(shard, route if isinstance(route, CaptureRoute) else CaptureRoute())
        try:
            return Go(shard, self._route(shard))
        except RouteError as error:
            return Later("4.3.5", str(error))

    def is_allowed(self, address: str, domain: str) -> bool:
        """Whether non-production mail may really go to this recipient."""
        return address.lower() in self._allowed or domain.lower() in self._allowed

    async def account_waits(self, delivery: Delivery) -> Later | None:
        """Whether the account that sent this is suspended: its mail waits. Raises DatabaseAway.

        A password revoked since then holds nothing up: the message was accepted while it was good.
        """
        account_id = delivery.message.account_id
        if account_id is None:
            return None
        found = self._control.identity_now(account_id, None)
        if found is None:
            found = await self._control.identity(account_id, None)
        if getattr(found, "reason", None) == "account_suspended":
            return Later("4.7.1", "the account that sent this is suspended")
        return None

    def weights(self, message: StoredMessage) -> tuple[int, int]:
        """The weight of a message's tenant among tenants and of its stream within it."""
        if message.workspace_id is None:
            return 1, 1
        try:
            queue = self._control.effective_policy(message.tenant_id, message.workspace_id).queue
        except LookupError:
            return 1, 1
        return queue.tenant_weight, queue.stream(message.stream).weight

    def _is_allowed(self, delivery: Delivery) -> bool:
        """Deliveries were split so that either all their recipients are allowed or none."""
        return bool(self._allowed) and self.is_allowed(delivery.recipients[0].address, delivery.destination)

    def _plain_route(self, shard: ShardRecord) -> Route | None:
        try:
            return route_of(shard.route)
        except RouteError:
            return None

    def _route(self, shard: ShardRecord) -> Route:
        known = self._routes.get(shard.id)
        if known is not None and known[0] is shard:
            return known[1]
        try:
            credentials = self._open_credentials(shard) if shard.route_credentials is not None else None
        except Exception as error:
            why = "the route's user and password cannot be opened; set it again with `shard route`"
            raise RouteError(why) from error
        route = route_of(shard.route, credentials)
        self._routes[shard.id] = (shard, route)
        return route


class Preparation:
    """Makes what goes over the wire at an attempt: signatures that stand, return path, the octets."""

    def __init__(
        self,
        control: ControlView,
        signer: Signing,
        still_stands: StillStands,
        return_paths: ReturnPathMaker,
        threads: Executor,
    ) -> None:
        self._control = control
        self._signer = signer
        self._still_stands = still_stands
        self._return_paths = return_paths
        self._threads = threads

    async def mail(self, delivery: Delivery, stored: StoredContent, shard: ShardRecord, now: float) -> Mail:
        """The transaction's message. Raises NoSignature (a Refusal, 451)."""
        message = delivery.message
        signatures = stored.signatures
        header = signatures.header
        keys = [self._control.key(key_id) for key_id in signatures.key_ids]
        if not self._still_stands(signatures, keys, now):
            header = await self._sign(stored, self._domain_keys(message), now)
        # Until DNS shows the shard's key, the domain's own signature is enough.
        if shard.sign and (beside := self._shard_keys(shard)):
            header = await self._sign(stored, beside, now) + header
        return Mail(
            message.id,
            self._return_paths.address(message.id, shard.name) if message.reverse_path else "",
            delivery.recipients,
            delivery.destination,
            header,
            stored.content,
            message.envid,
            message.ret,
            message.smtputf8,
            message.eightbit,
        )

    async def _sign(self, stored: StoredContent, keys: Sequence[KeyRecord], now: float) -> bytes:
        loop = asyncio.get_running_loop()
        signed = await loop.run_in_executor(self._threads, self._sign_here, stored, keys, now)
        return signed.header

    def _sign_here(self, stored: StoredContent, keys: Sequence[KeyRecord], now: float) -> Signatures:
        header, _ = split_message(stored.content)
        return self._signer.resign(parse_header(header), stored.signatures.body_hash, keys, now)

    def _domain_keys(self, message: StoredMessage) -> list[KeyRecord]:
        """The keys of the From domain, if it still is this tenant's, or the platform's for our own mail."""
        domain = self._control.domain(message.from_domain)
        if domain is None:
            return []
        is_ours = domain.kind == "platform" and message.origin in _OWN_ORIGINS
        if domain.tenant_id != message.tenant_id and not is_ours:
            return []
        return [
            key
            for key in self._control.keys_of(domain.name)
            if key.domain_id == domain.id and key.state == "active"
        ]

    def _shard_keys(self, shard: ShardRecord) -> list[KeyRecord]:
        return [
            key
            for key in self._control.keys_of(shard.name)
            if key.shard_id == shard.id and key.state == "active"
        ]
