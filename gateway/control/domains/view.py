"""Domains and their DNS records as people see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.control.domains.model import DomainRow
from gateway.control.domains.names import unicode_name

RecordType = Literal["TXT", "CNAME", "MX", "A", "AAAA", "SRV", "PTR"]
Purpose = Literal[
    "ownership",
    "mx",
    "spf",
    "dkim",
    "dmarc",
    "return-path",
    "helo",
    "mta-sts",
    "tls-rpt",
    "autoconfig",
    "srv",
]
RecordState = Literal["unchecked", "missing", "invalid", "valid", "unreachable"]
Propagation = Literal["unknown", "authority", "everywhere"]
"""Who shows a record as it should be: nobody that was asked, the zone's own servers, the resolver too."""


@dataclass(frozen=True, slots=True)
class DomainView:
    """A domain; `challenge` is the word to publish, no secret. Times are seconds since 1970."""

    id: str
    name: str
    unicode_name: str
    tenant_id: str
    environment: str
    kind: str
    state: str
    mode: str
    challenge: str
    verified_at: float | None
    verified_by: str | None
    purge_at: float | None
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class RecordView:
    """A DNS record to publish: names without a final dot, values without quotes or splits.

    An MX value is `preference host`. `publisher` says whose zone it stands in. `found`: what DNS answered
    instead, where that was looked at; `hint`: what is probably wrong, and how to mend it. `required`: nothing
    works without it; else it is recommended. `note`: what to know before it is published.
    """

    name: str
    type: RecordType
    value: str
    purpose: Purpose
    state: RecordState = "unchecked"
    required: bool = True
    publisher: Literal["customer", "platform"] = "customer"
    found: tuple[str, ...] = ()
    hint: str | None = None
    propagation: Propagation = "unknown"
    note: str | None = None


@dataclass(frozen=True, slots=True)
class DomainCheck:
    """What the last look at DNS found, and the domain after it.

    `remarks`: what is wrong beside the records. `next_look_at`: when it is looked at again without being
    asked to, None for never; `reason`: what is waited for, None for nothing.
    """

    domain: DomainView
    records: tuple[RecordView, ...]
    remarks: tuple[str, ...] = ()
    looked_at: float | None = None
    next_look_at: float | None = None
    reason: str | None = None


def domain_view(row: DomainRow) -> DomainView:
    """The view of a row."""
    return DomainView(
        id=row.id,
        name=row.name,
        unicode_name=unicode_name(row.name),
        tenant_id=row.tenant_id,
        environment=row.environment,
        kind=row.kind,
        state=row.state,
        mode=row.mode,
        challenge=row.challenge,
        verified_at=row.verified_at,
        verified_by=row.verified_by,
        purge_at=row.purge_at,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
