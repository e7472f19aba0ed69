"""The control plane's rows as the data plane sees them: frozen values, without a session behind them.

Ids are UUIDv7 text. Times (`*_at`) are seconds since 1970-01-01T00:00Z as floats. Names of domains are
lower-case A-labels without a final dot. Nothing here can be written: changes go through the services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gateway.control.conditions import Conditions
    from gateway.control.policies import EffectivePolicy

Environment = Literal["production", "staging", "development"]
ENVIRONMENTS: tuple[Environment, ...] = ("production", "staging", "development")

TenantStatus = Literal["active", "suspended", "deleting"]
AccountStatus = Literal["active", "suspended", "deleting"]
DomainKind = Literal["trial", "custom", "platform"]
DomainState = Literal["pending", "verifying", "active", "degraded", "suspended", "expired"]
ShardState = Literal["active", "paused", "retired"]
KeyState = Literal["pending", "active", "retiring", "revoked", "destroyed"]
KeyAlgorithm = Literal["rsa-sha256", "ed25519-sha256"]
ListKind = Literal["domain", "tld", "address"]
ActorKind = Literal["cli", "api", "system", "session"]
Right = Literal["read", "write", "send", "support"]
RIGHTS: tuple[Right, ...] = ("read", "write", "send", "support")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change, for the audit: `id` is an API key's, account's or user's; `address` where from.

    `tenant_id`, `workspace_id` and `environment` are set for a caller limited to one: services then treat
    all other things as not there. `rights` are what a face has found it may do. `request_id` ties audit rows
    of one request together. `conditions`: what must hold when its change begins.
    """

    kind: ActorKind
    id: str
    address: str | None = None
    tenant_id: str | None = None
    request_id: str | None = None
    workspace_id: str | None = None
    environment: Environment | None = None
    rights: frozenset[Right] = frozenset(RIGHTS)
    conditions: Conditions | None = field(default=None, compare=False, repr=False)

    @property
    def is_operator(self) -> bool:
        """Whether the whole installation is this caller's business."""
        return self.tenant_id is None and self.workspace_id is None and self.environment is None

    @property
    def spans_tenant(self) -> bool:
        """Whether a tenant it sees is its business in every workspace and environment."""
        return self.workspace_id is None and self.environment is None


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A customer organisation, on the plan named `plan`."""

    id: str
    name: str
    plan: str
    status: TenantStatus
    is_platform: bool
    default_workspace_id: str | None


@dataclass(frozen=True, slots=True)
class WorkspaceRecord:
    """A policy container; `tenant_id` is None for a shared one, `policy` is its policy's name.

    `is_default`: the default of its tenant, or (shared) of the platform, in its environment.
    """

    id: str
    name: str
    tenant_id: str | None
    environment: Environment
    location: str
    policy: str
    is_default: bool
    settling: bool = False
    """Its counters are on their way to another location: for seconds nothing is taken."""


@dataclass(frozen=True, slots=True)
class DomainRecord:
    """A domain of one tenant and environment. Several tenants may claim a name; one at most holds it."""

    id: str
    name: str
    tenant_id: str
    environment: Environment
    kind: DomainKind
    state: DomainState
    receives: bool

    @property
    def may_send(self) -> bool:
        """Whether mail with this From domain may leave."""
        return self.state in ("active", "degraded")


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """An IP address pair the platform sends from, with the HELO name its PTR shows."""

    id: str
    ipv4: str | None
    ipv6: str | None
    helo: str
    pool: str


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """A sending sub-domain. `route` is a URL without credentials; those are sealed in `route_credentials`.

    `streams` empty: any stream. `weight` is at least 1. Open the credentials with
    `gateway.control.shards.route.open_credentials`.
    """

    id: str
    name: str
    tenant_id: str
    environment: Environment
    route: str
    weight: int
    streams: frozenset[str]
    state: ShardState
    source: SourceRecord | None
    sign: bool
    created_at: float
    route_credentials: bytes | None = None
    domain_id: str | None = None
    """The tenant's domain it lies under; None where the operator put it elsewhere."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A DKIM key: `domain` is its d=, `sealed` the private key as only `outgoing.signing` may open it.

    Exactly one of `domain_id` and `shard_id` is set: whose key it is.
    """

    id: str
    tenant_id: str
    domain_id: str | None
    domain: str
    selector: str
    algorithm: KeyAlgorithm
    state: KeyState
    sealed: bytes
    created_at: float
    shard_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """One mail identity; `id` is the grant id, public and never a secret."""

    id: str
    tenant_id: str
    workspace_id: str
    address: str
    aliases: tuple[str, ...]
    display_name: str | None
    status: AccountStatus
    smtp: bool
    imap: bool
    epoch: int
    home_location: str
    created_at: float
    environment: Environment = "production"
    settling: bool = False
    """Its counters are on their way to another location: for seconds nothing is taken."""


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """An app password as it is stored: `key_id` for a server-made one, `tag` for a caller-chosen one."""

    id: str
    account_id: str
    tenant_id: str
    key_id: str | None
    tag: str | None
    hash: str
    scopes: frozenset[str]
    label: str | None
    expires_at: float | None
    networks: tuple[str, ...]
    stream: str | None
    revoked_at: float | None
    created_at: float


@dataclass(frozen=True, slots=True)
class RaiseRecord:
    """Limits raised until a time: an account's, or (`account_id` None) a tenant's in each of its workspaces.

    `limits` are by name, such as `messages_per_day`.
    """

    id: str
    tenant_id: str
    account_id: str | None
    limits: Mapping[str, int]
    until: float


@dataclass(frozen=True, slots=True)
class ListRecord:
    """A list that rules name; `owner` is a tenant's id or "shared". `values` as rules compare them."""

    id: str
    name: str
    owner: str
    kind: ListKind
    values: frozenset[str] = field(repr=False)

    @property
    def owner_word(self) -> str:
        """Whose it is, for people."""
        return "shared" if self.owner == "shared" else "own"


@dataclass(frozen=True, slots=True)
class ListsInReach:
    """The lists that a tenant's rules may name: its own hides a shared one of the same name.

    Not so for the rules of its plan: they bind the tenant, which would empty a list to be free of them.
    """

    own: Mapping[str, ListRecord]
    shared: Mapping[str, ListRecord]

    def get(self, name: str) -> ListRecord | None:
        """The list with this name."""
        return self.own.get(name) or self.shared.get(name)

    def for_plan(self) -> ListsInReach:
        """Those that rules of a plan ask: shared ones alone."""
        return ListsInReach(MappingProxyType({}), self.shared)


NO_LISTS = ListsInReach(MappingProxyType({}), MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks in a session, with what binds it, as of control revision `revision`."""

    account: AccountRecord
    tenant: TenantRecord
    workspace: WorkspaceRecord
    policy: EffectivePolicy
    credential: CredentialRecord | None
    revision: int
    lists: ListsInReach = NO_LISTS
