"""Reading and writing the documents in force and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from gateway.control.plans.model import PlanRow
from gateway.control.policies.documents import Document, Kind, restore_document
from gateway.control.policies.model import KINDS, DocumentVersionRow, PolicyRow
from gateway.control.policies.resolution import PolicySet

if TYPE_CHECKING:
    from gateway.control.transaction import ControlChange


def read_policy_set(connection: Connection | Session) -> PolicySet:
    """Every policy and plan at the version in force.

    Raises DocumentErrors if this program cannot read what a newer one has stored, DatabaseAway.
    """
    documents: list[Document] = []
    columns = (DocumentVersionRow.document, DocumentVersionRow.data)
    for kind in KINDS:
        statement = _in_force(kind, DocumentVersionRow.name, DocumentVersionRow.version, *columns)
        documents.extend(
            restore_document(cast("Kind", kind), row.name, row.version, row.document, row.data)
            for row in connection.execute(statement)
        )
    return PolicySet(documents)


def versions_in_force(session: Session) -> frozenset[str]:
    """The ids of the versions in force: while they are the same, so is every document."""
    return frozenset(
        ident for kind in KINDS for ident in session.scalars(_in_force(kind, DocumentVersionRow.id))
    )


def _in_force(kind: str, *columns: Any) -> sa.Select[*tuple[Any, ...]]:
    table = PlanRow if kind == "plan" else PolicyRow
    return sa.select(*columns).join(
        table,
        sa.and_(
            DocumentVersionRow.kind == kind,
            DocumentVersionRow.name == table.name,
            DocumentVersionRow.version == table.version,
        ),
    )


def find_version(session: Session, kind: Kind, name: str, version: int) -> DocumentVersionRow | None:
    """One version of a document."""
    return session.scalars(
        sa.select(DocumentVersionRow).where(
            DocumentVersionRow.kind == kind,
            DocumentVersionRow.name == name,
            DocumentVersionRow.version == version,
        )
    ).one_or_none()


def versions_of(session: Session, kind: Kind, name: str) -> tuple[DocumentVersionRow, ...]:
    """Every version of a document, newest first."""
    statement = (
        sa.select(DocumentVersionRow)
        .where(DocumentVersionRow.kind == kind, DocumentVersionRow.name == name)
        .order_by(DocumentVersionRow.version.desc())
    )
    return tuple(session.scalars(statement))


def known_documents(session: Session) -> set[tuple[str, str]]:
    """Kind and name of every document that there is, or ever was."""
    statement = sa.select(DocumentVersionRow.kind, DocumentVersionRow.name).distinct()
    return {(row.kind, row.name) for row in session.execute(statement)}


def write_document(change: ControlChange, document: Document) -> PolicyRow | PlanRow:
    """Put a document in force as its next version; returns its row."""
    if document.kind == "plan":
        return _write_plan(change, document)
    row = change.session.scalars(sa.select(PolicyRow).where(PolicyRow.name == document.name)).one_or_none()
    if row is None:
        row = PolicyRow(
            id=change.ids.uuid(),
            name=document.name,
            version=_last_version(change.session, document),
            created_at=change.now,
            updated_at=change.now,
        )
    row.version += 1
    row.updated_at = change.now
    change.add(row, _version_row(change, document, row.version))
    return row


def _last_version(session: Session, document: Document) -> int:
    """The last version there was under this name: one that was deleted and comes back goes on counting."""
    statement = sa.select(sa.func.max(DocumentVersionRow.version)).where(
        DocumentVersionRow.kind == document.kind, DocumentVersionRow.name == document.name
    )
    return session.scalar(statement) or 0


def _write_plan(change: ControlChange, document: Document) -> PlanRow:
    row = change.session.scalars(sa.select(PlanRow).where(PlanRow.name == document.name)).one_or_none()
    if row is None:
        row = PlanRow(
            id=change.ids.uuid(),
            name=document.name,
            document=document.text,
            version=_last_version(change.session, document),
            created_at=change.now,
            updated_at=change.now,
        )
    row.version += 1
    row.document = document.text
    row.updated_at = change.now
    change.add(row, _version_row(change, document, row.version))
    return row


def _version_row(change: ControlChange, document: Document, version: int) -> DocumentVersionRow:
    return DocumentVersionRow(
        id=change.ids.uuid(),
        kind=document.kind,
        name=document.name,
        version=version,
        document=document.text,
        data=dict(document.data),
        created_at=change.now,
        created_by=f"{change.actor.kind}:{change.actor.id}",
    )
