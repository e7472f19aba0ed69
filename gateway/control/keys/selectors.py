"""Under which selector a new key stands: one with a date, or one of a domain's two lasting ones.

A customer's domain whose keys are aliases into the platform's zone has two selectors for each algorithm,
its *slots*. Keys take turns in them, so that the customer publishes the aliases once.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict, Invalid
from gateway.control.keys.material import next_selector
from gateway.control.keys.model import KeyRow, SlotRow
from gateway.control.lookup import shown
from gateway.control.records import KeyAlgorithm
from gateway.control.transaction import ControlChange

SLOTS = 2
"""One for the key that signs, one for the next."""


def dated_selector(change: ControlChange, name: str) -> str:
    """A selector with today's date that no key of this name has."""
    return next_selector(change.now, taken_selectors(change.session, name))


def free_slot(change: ControlChange, domain: DomainRow, algorithm: KeyAlgorithm) -> str:
    """A slot for the domain's next key of this kind; slots are made with the first one.

    The record of a revoked key gives way to the new key's: what it signed stays unverifiable. Raises
    Conflict while both are needed.
    """
    slots = _slots(change, domain, algorithm)
    published = sa.select(KeyRow).where(
        KeyRow.domain_id == domain.id, KeyRow.shard_id.is_(None), KeyRow.withdrawn_at.is_(None)
    )
    held = {key.selector: key for key in change.session.scalars(published)}
    for selector in slots:
        if selector not in held:
            return selector
    for selector in slots:
        if held[selector].state == "revoked":
            held[selector].withdrawn_at = change.now
            change.session.flush()
            return selector
    words = " and ".join(f"{selector} ({held[selector].state})" for selector in slots)
    raise Conflict(
        "slots-taken",
        f"Both selectors of {domain.name} are in use: {words}.",
        "A retired key leaves its selector 7 days after it signed last; `dkim-key revoke` frees one at once.",
    )


def taken_selectors(session: Session, name: str) -> set[str]:
    """The selectors that a name has, in every tenant's claim: one record stands in DNS."""
    keys = session.scalars(sa.select(KeyRow.selector).where(KeyRow.domain == name))
    slots = sa.select(SlotRow.selector).join(DomainRow, DomainRow.id == SlotRow.domain_id)
    return {*keys, *session.scalars(slots.where(DomainRow.name == name))}


def slots_of(session: Session, domain: DomainRow) -> list[str]:
    """The selectors of a domain that are aliases into the platform's zone, the oldest first."""
    statement = sa.select(SlotRow.selector).where(SlotRow.domain_id == domain.id)
    return list(session.scalars(statement.order_by(SlotRow.id)))


def clean_selector(selector: str) -> str:
    """A caller's selector in lower case. Raises Invalid."""
    labels = selector.lower().split(".")
    for label in labels:
        inside = label.replace("-", "").replace("_", "")
        if not label or len(label) > 63 or not inside.isascii() or not inside.isalnum():
            raise Invalid(
                "bad-selector",
                f"{shown(selector)} is no selector.",
                "Use letters, digits and hyphens, such as s1.",
            )
    return ".".join(labels)


def _slots(change: ControlChange, domain: DomainRow, algorithm: KeyAlgorithm) -> list[str]:
    statement = sa.select(SlotRow.selector).where(
        SlotRow.domain_id == domain.id, SlotRow.algorithm == algorithm
    )
    found = list(change.session.scalars(statement.order_by(SlotRow.id)))
    while len(found) < SLOTS:
        selector = dated_selector(change, domain.name)
        change.add(
            SlotRow(
                id=change.ids.uuid(),
                tenant_id=domain.tenant_id,
                domain_id=domain.id,
                selector=selector,
                algorithm=algorithm,
                created_at=change.now,
            )
        )
        found.append(selector)
    return found
