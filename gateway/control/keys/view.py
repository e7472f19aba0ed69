"""DKIM keys as people see them, and how they are listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from gateway.control.filters import among, of_domain, of_tenant
from gateway.control.keys.material import record_name, record_value
from gateway.control.keys.model import ALGORITHMS, STATES, KeyRow
from gateway.control.paging import Listing, one_by_one

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from gateway.control.records import Actor


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as people see it: its DNS record, never its private half. `name` is where the record stands.

    `seen_at`: when DNS was first seen to have it; `withdrawn_at`: when its record was taken back.
    """

    id: str
    name: str
    tenant_id: str
    domain: str
    selector: str
    algorithm: str
    bits: int
    state: str
    record_type: Literal["TXT"]
    record_value: str
    created_at: float
    activated_at: float | None
    retiring_at: float | None
    ended_at: float | None
    seen_at: float | None
    withdrawn_at: float | None
    client_id: str | None
    metadata: dict[str, str]


def key_view(row: KeyRow) -> KeyView:
    """The view of a row."""
    public = "" if row.state in ("revoked", "destroyed") else row.public_key
    return KeyView(
        id=row.id,
        name=key_name(row),
        tenant_id=row.tenant_id,
        domain=row.domain,
        selector=row.selector,
        algorithm=row.algorithm,
        bits=row.bits,
        state=row.state,
        record_type="TXT",
        record_value=record_value(row.algorithm, public),
        created_at=row.created_at,
        activated_at=row.activated_at,
        retiring_at=row.retiring_at,
        ended_at=row.ended_at,
        seen_at=row.seen_at,
        withdrawn_at=row.withdrawn_at,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
    )


def key_name(row: KeyRow) -> str:
    """Where a key's record stands."""
    return record_name(row.selector, row.domain)


def _of_algorithm(session: Session, actor: Actor, word: str) -> sa.ColumnElement[bool]:
    """By the algorithm as keys show it, or as it is said when one is made: rsa, ed25519."""
    spelled = f"{word}-sha256" if f"{word}-sha256" in ALGORITHMS else word
    return among(KeyRow.algorithm, ALGORITHMS, "algorithm")(session, actor, spelled)


LISTING = Listing(
    row=KeyRow,
    views=one_by_one(lambda _, row: key_view(row)),
    sorts={"domain": KeyRow.domain, "created_at": KeyRow.created_at},
    filters={
        "domain": of_domain(KeyRow.domain_id),
        "tenant": of_tenant(KeyRow.tenant_id),
        "state": among(KeyRow.state, STATES, "state"),
        "algorithm": _of_algorithm,
        "selector": KeyRow.selector,
        "client_id": KeyRow.client_id,
    },
)
