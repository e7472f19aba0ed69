"""Which claims are refused: names that the tenant or another one has, and one claim too many."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.delegation import refuse_below_others
from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict
from gateway.control.tenants.model import TenantRow

_UNPROVED = ("pending", "verifying")


def refuse_claim(session: Session, owner: TenantRow, name: str, most: int) -> None:
    """Raises Conflict unless the tenant may claim a name; `most`: claims of it that are not active yet."""
    same = session.scalars(
        sa.select(DomainRow).where(DomainRow.tenant_id == owner.id, DomainRow.name == name)
    ).one_or_none()
    if same is not None:
        raise Conflict(
            "domain-exists",
            f"{owner.name} has {name} already, in the environment {same.environment}.",
            "Environments share no domain: use a sub-domain for another one.",
        )
    refuse_below_others(session, owner.id, name)
    _refuse_too_many(session, owner, most)


def _refuse_too_many(session: Session, owner: TenantRow, most: int) -> None:
    """Each claim has a key made and is looked at for a fortnight, whoever makes it."""
    unproved = sa.select(DomainRow.id).where(
        DomainRow.tenant_id == owner.id, DomainRow.kind == "custom", DomainRow.state.in_(_UNPROVED)
    )
    count = session.scalar(sa.select(sa.func.count()).select_from(unproved.limit(most).subquery())) or 0
    if count >= most:
        raise Conflict(
            "too-many-claims",
            f"{owner.name} has {count} domains that are not active yet, which is the most at a time.",
            f"`gatepost domain list --tenant {owner.slug}` shows them: publish their records, or delete "
            "some. The operator sets the limit: [domains] claims.",
        )
