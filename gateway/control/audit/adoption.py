"""Sealing the head of a chain that an older program left without, once: after the upgrade to seals."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
import structlog

from gateway.control.audit.head import Head, head_seal
from gateway.system.database import Database

HEADS = {
    "control": sa.text(
        "SELECT audit_number AS number, audit_hash AS hash, audit_seal AS seal FROM control_head"
    ),
    "location": sa.text("SELECT number, hash, seal FROM audit_head"),
}
"""Where the head of a chain is read, by the kind of the database."""
_SEALS = {
    "control": sa.text("UPDATE control_head SET audit_seal = :seal WHERE audit_seal IS NULL"),
    "location": sa.text("UPDATE audit_head SET seal = :seal WHERE seal IS NULL"),
}


def seal_found_head(database: Database, which: Literal["control", "location"], key: bytes) -> Head | None:
    """Seal the head as it is found, and log it; None if there is none, or it has a seal.

    Only for a database that was just brought up from a schema without seals: whatever this finds is taken
    for true. Raises DatabaseAway.
    """
    with database.write() as connection:
        row = connection.execute(HEADS[which]).one_or_none()
        if row is None or row.seal is not None:
            return None
        head = Head(row.number, row.hash, head_seal(key, row.number, row.hash))
        connection.execute(_SEALS[which], {"seal": head.seal})
    log = structlog.get_logger("gateway.control.audit")
    log.warning("audit_head_sealed", database=database.purpose, number=head.number, hash=head.hash)
    return head
