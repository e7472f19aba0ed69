"""What is asked for in one request, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.control.domains.view import RecordView
from gateway.control.errors import ServiceError
from gateway.control.shards.view import ShardView


@dataclass(frozen=True, slots=True)
class TenantRequest:
    """Whose account: an existing tenant by `name` (or its id) or by `client_id`, else a new one.

    An existing tenant stays as it is: the other fields are a new one's. A caller limited to a tenant may
    leave all out.
    """

    name: str | None = None
    plan: str | None = None
    contacts: tuple[str, ...] = ()
    client_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """The account: `client_id` is the caller's own name for it, by which a repetition is known."""

    local_part: str
    display_name: str | None = None
    client_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProvisionRequest:
    """One request. `domain` None: the tenant's trial name of that environment.

    `app_password`: True for a made one, or the text of a chosen one.
    """

    tenant: TenantRequest
    account: AccountRequest
    environment: str = "production"
    domain: str | None = None
    workspace: str | None = None
    smtp: bool = False
    imap: bool = False
    app_password: bool | str = field(default=False, repr=False)


@dataclass(frozen=True, slots=True)
class ProvisionedDomain:
    """The domain that was asked for, with what is to be published for it."""

    id: str
    name: str
    state: str
    records: tuple[RecordView, ...]


@dataclass(frozen=True, slots=True)
class Provisioned:
    """An identity that works now.

    `address` is its own, `login` what its programs log in with. `pending_address` becomes its own once
    `domain` is active; the one of now then stays as an alias and as a login. `shard` is the one that sends
    for `address`. `status` is the account's, or "suspended" while its tenant is. `app_password` is shown
    once: where it is None, `fix` says how to get one. `created`: it was not there before.
    """

    grant_id: str
    address: str
    pending_address: str | None
    status: str
    environment: str
    tenant_id: str
    workspace_id: str
    workspace: str
    assignment: str
    domain: ProvisionedDomain
    shard: ShardView | None
    login: str
    app_password: str | None = field(repr=False)
    created: bool = True
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class ProvisionedRow:
    """One row of many: what it gave, or why it gave nothing. `row` counts from 0."""

    row: int
    status: Literal["created", "existing", "failed"]
    client_id: str | None
    result: Provisioned | None = None
    code: str | None = None
    detail: str | None = None
    fix: str | None = None

    @classmethod
    def done(cls, row: int, client_id: str | None, result: Provisioned) -> ProvisionedRow:
        """A row that is in order now."""
        return cls(row, "created" if result.created else "existing", client_id, result)

    @classmethod
    def refused(cls, row: int, client_id: str | None, error: ServiceError) -> ProvisionedRow:
        """A row of which nothing was done."""
        return cls(row, "failed", client_id, None, error.code, error.detail, error.fix)
