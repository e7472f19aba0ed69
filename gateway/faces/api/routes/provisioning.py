"""`/v1/provision`: a working identity in one request, or many."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from gateway.control.accounts.promotion import Promotion, WaitingAddress
from gateway.control.provisioning.service import LARGEST_BATCH
from gateway.control.provisioning.values import (
    AccountRequest,
    Provisioned,
    ProvisionedRow,
    ProvisionRequest,
    TenantRequest,
)
from gateway.control.records import Environment
from gateway.faces.api.caller import Caller
from gateway.faces.api.facts import MIB, Bounds
from gateway.faces.api.models import ClientId, LongName, Metadata, Name, Request, Text
from gateway.faces.api.operation import operation
from gateway.faces.api.routes.domains import current_domain

api = APIRouter(tags=["provisioning"])

Chosen = Annotated[str, StringConstraints(max_length=100)]


class ProvisionTenant(Request):
    """An existing tenant by name, id or `client_id`, else a new one of that name."""

    name: Name | None = None
    plan: Name | None = None
    contacts: tuple[Text, ...] = ()
    client_id: ClientId | None = None
    metadata: Metadata = Field(default_factory=dict)


class ProvisionAccount(Request):
    """The account; a repeated `client_id` of the same tenant gives the account that is there."""

    local_part: Name
    display_name: Text | None = None
    client_id: ClientId | None = None
    metadata: Metadata = Field(default_factory=dict)


class Protocols(Request):
    """The protocols to switch on; without them the identity sends by the API alone."""

    smtp: bool = False
    imap: bool = False


class Provision(Request):
    """What is wanted: without `domain` a trial name. What is not asked for stays off: protocols, password.

    `app_password`: true for a made one, or a chosen one; it needs a protocol that takes it.
    """

    tenant: ProvisionTenant = Field(default_factory=ProvisionTenant)
    account: ProvisionAccount
    environment: Environment = "production"
    domain: LongName | None = None
    workspace: Name | None = None
    protocols: Protocols | None = None
    app_password: bool | Chosen | None = None

    def request(self) -> ProvisionRequest:
        """The same as the service takes it."""
        on = self.protocols or Protocols()
        return ProvisionRequest(
            tenant=TenantRequest(**self.tenant.given()),
            account=AccountRequest(**self.account.given()),
            environment=self.environment,
            domain=self.domain,
            workspace=self.workspace,
            smtp=on.smtp,
            imap=on.imap,
            app_password=False if self.app_password is None else self.app_password,
        )


class ProvisionBatch(Request):
    """Rows, each a request of its own."""

    rows: Annotated[tuple[Provision, ...], Field(min_length=1, max_length=LARGEST_BATCH)]


@operation(api, "POST", "/provision", cli="provision", shows=Provisioned, status=201)
def provision(call: Caller, body: Provision) -> Provisioned:
    """Make an identity that can send at once: tenant, domain, key, shard, account, app password."""
    return call.services.provisioning.provision(call.actor, body.request())


@operation(
    api,
    "POST",
    "/provision/batch",
    cli="provision batch",
    shows=ProvisionedRow,
    many=True,
    once=False,
    bounds=Bounds(4 * MIB, 50_000),
)
def provision_batch(call: Caller, body: ProvisionBatch) -> tuple[ProvisionedRow, ...]:
    """Up to 500 of them, each in a transaction of its own; a call may be repeated, it does nothing twice."""
    rows = [row.request() for row in body.rows]
    return call.services.provisioning.provision_batch(call.actor, rows)


@operation(
    api, "POST", "/domains/{domain}/promote", cli="domain promote", shows=Promotion, current=current_domain
)
def promote(call: Caller, domain: str) -> Promotion:
    """Give the accounts that wait for an active domain their addresses on it, if something was in the way."""
    return call.services.domains.promote(call.actor, domain)


@operation(api, "GET", "/domains/{domain}/waiting", cli="domain waiting", shows=WaitingAddress, many=True)
def list_waiting(call: Caller, domain: str) -> tuple[WaitingAddress, ...]:
    """The addresses that accounts get once the domain is active; with the reason, where one waits on."""
    return call.services.domains.waiting(call.actor, domain)
