"""How domains are listed."""

from __future__ import annotations

from gateway.control.domains.model import KINDS, STATES, DomainRow
from gateway.control.domains.view import domain_view
from gateway.control.filters import among, in_environment, of_tenant
from gateway.control.paging import Listing, one_by_one

LISTING = Listing(
    row=DomainRow,
    views=one_by_one(lambda _, row: domain_view(row)),
    sorts={"name": DomainRow.name, "created_at": DomainRow.created_at, "updated_at": DomainRow.updated_at},
    filters={
        "name": DomainRow.name,
        "tenant": of_tenant(DomainRow.tenant_id),
        "environment": in_environment(DomainRow.environment),
        "kind": among(DomainRow.kind, KINDS, "kind"),
        "state": among(DomainRow.state, STATES, "state"),
        "client_id": DomainRow.client_id,
    },
)
