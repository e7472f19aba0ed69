"""Policies and plans: planned, applied all or nothing, shown; every version kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.clientids import set_client_id
from gateway.control.errors import Forbidden, Invalid
from gateway.control.lookup import clean_metadata, find
from gateway.control.paging import Page, PageQuery, read_page
from gateway.control.plans.model import PlanRow
from gateway.control.policies.checks import Workspaces, owned_workspaces, problems_of
from gateway.control.policies.comparison import DocumentChange, compare
from gateway.control.policies.documents import Document, Kind
from gateway.control.policies.folder import DocumentTree, read_documents, read_tree
from gateway.control.policies.memory import PolicyMemory
from gateway.control.policies.model import PolicyRow
from gateway.control.policies.packaged import packaged_documents, packaged_policies
from gateway.control.policies.problems import DocumentErrors
from gateway.control.policies.resolution import PolicySet
from gateway.control.policies.store import known_documents, read_policy_set, versions_of, write_document
from gateway.control.policies.view import LISTING, PolicyView, policy_view, policy_views, version_view
from gateway.control.recording import payload, record
from gateway.control.records import Actor
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible
from gateway.control.workspaces.model import WorkspaceRow
from gateway.system.toml_lines import Problem

_PLAN_PREFIXES = ("plans/", "plan/", "plan:")


class InvalidDocuments(Invalid):
    """Documents with mistakes; nothing was applied. `problems` has all of them, by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "policy-invalid",
            "\n".join(map(str, self.problems)),
            "Correct what is listed and try again; docs/policies.md explains every key. Nothing was applied.",
        )


class PolicyService:
    """The policies and plans of an installation."""

    def __init__(
        self,
        writes: ControlWrites,
        locations: frozenset[str] | None = None,
        memory: PolicyMemory | None = None,
    ) -> None:
        """`locations`: those that a document may name; None lets any name pass. `memory` may be shared."""
        self._writes = writes
        self._locations = locations
        self._memory = memory or PolicyMemory()

    def plan(self, actor: Actor, path: Path) -> tuple[DocumentChange, ...]:
        """What applying a file or folder would change. Raises InvalidDocuments, Forbidden."""
        _require_operator(actor)
        return self._plan(_read(lambda: read_tree(path)))

    def apply(self, actor: Actor, path: Path) -> tuple[DocumentChange, ...]:
        """Put a file or folder in force, all or nothing; what is not in it stays as it is.

        Returns what changed. Raises InvalidDocuments, Forbidden.
        """
        _require_operator(actor)
        return self._apply(actor, _read(lambda: read_tree(path)))

    def plan_documents(self, actor: Actor, files: Sequence[tuple[str, str]]) -> tuple[DocumentChange, ...]:
        """The same for documents given as (path, text); those in a folder "plans" are plans."""
        _require_operator(actor)
        return self._plan(_read(lambda: read_documents(files)))

    def apply_documents(self, actor: Actor, files: Sequence[tuple[str, str]]) -> tuple[DocumentChange, ...]:
        """The same for documents given as (path, text); those in a folder "plans" are plans."""
        _require_operator(actor)
        return self._apply(actor, _read(lambda: read_documents(files)))

    def candidate(
        self, actor: Actor, files: Sequence[tuple[str, str]]
    ) -> tuple[PolicySet, tuple[Document, ...]]:
        """What would be in force with documents given as (path, text), and those; nothing is changed.

        Raises InvalidDocuments, Forbidden.
        """
        _require_operator(actor)
        tree = _read(lambda: read_documents(files))
        with self._writes.view() as session:
            before = read_policy_set(session)
            self._check(tree, before, session)
        return before.with_documents(tree.documents), tree.documents

    def load_defaults(self, change: ControlChange) -> tuple[str, ...]:
        """Put the packaged documents in force that the installation does not have; returns their names.

        Those it has, or had and deleted, are the operator's. Part of the caller's transaction.
        """
        before = read_policy_set(change.session)
        known = known_documents(change.session)
        missing = [one for one in packaged_documents() if (one.kind, one.name) not in known]
        for document in missing:
            _put(change, before, document)
        return tuple(document.source for document in missing)

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> PolicyView:
        """Change the caller's own id and pairs of a policy; documents are applied. Raises NotFound."""
        _require_operator(actor)
        with self._writes.change(actor) as change:
            row = find_policy(change.session, reference)
            before = policy_view(change.session, "policy", row, row.version)
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            change.session.flush()
            after = policy_view(change.session, "policy", row, row.version)
            record(change, "policy.update", "policy", before, after)
            return after

    def page(self, actor: Actor, query: PageQuery) -> Page[PolicyView]:
        """A page of the policies the caller may see: those of its own and of shared workspaces.

        Filters: name, client_id, metadata.KEY. Sorts: name, created_at, updated_at. Raises Invalid.
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, _visible(actor))

    def list(self, actor: Actor) -> tuple[PolicyView, ...]:
        """The policies the caller may see, by name: a tenant's those of its own and of shared workspaces."""
        with self._writes.view() as session:
            rows = session.scalars(sa.select(PolicyRow).where(_visible(actor)).order_by(PolicyRow.name)).all()
            return tuple(policy_views(session, rows))

    def show(self, actor: Actor, reference: str, version: int | None = None) -> PolicyView:
        """A policy by name or id, or a plan as `plans/NAME`; at a version, or the one in force.

        Raises NotFound.
        """
        with self._writes.view() as session:
            kind, row = find_document(session, actor, reference)
            return policy_view(session, kind, row, row.version if version is None else version)

    def versions(self, actor: Actor, reference: str) -> tuple[PolicyView, ...]:
        """Every version, newest first. Raises NotFound."""
        with self._writes.view() as session:
            kind, row = find_document(session, actor, reference)
            return tuple(version_view(row, one) for one in versions_of(session, kind, row.name))

    def policy_set(self) -> PolicySet:
        """All documents in force, for resolving: explanations, checks of workspaces and tenants."""
        with self._writes.view() as session:
            return self._memory.read(session)

    def _plan(self, tree: DocumentTree) -> tuple[DocumentChange, ...]:
        with self._writes.view() as session:
            before = read_policy_set(session)
            self._check(tree, before, session)
        return tuple(compare(before.get(one.kind, one.name), one) for one in tree.documents)

    def _apply(self, actor: Actor, tree: DocumentTree) -> tuple[DocumentChange, ...]:
        with self._writes.change(actor) as change:
            before = read_policy_set(change.session)
            self._check(tree, before, change.session)
            changes = tuple(_put(change, before, document) for document in tree.documents)
            change.result = {"items": [payload(one) for one in changes], "next_cursor": None}
            return changes

    def _check(self, tree: DocumentTree, before: PolicySet, session: Session) -> None:
        workspaces: Workspaces = owned_workspaces(session)
        problems = problems_of(tree, before, workspaces, self._locations)
        if problems:
            raise InvalidDocuments(problems)


def find_policy(session: Session, reference: str) -> PolicyRow:
    """A policy by name or id. Raises NotFound."""
    return find(session, PolicyRow, reference, kind="policy", name=PolicyRow.name, key=reference)


def find_choosable(session: Session, actor: Actor, reference: str) -> PolicyRow:
    """A policy, by name or id, that the caller may give a workspace: one it may see, or a packaged one.

    Once it binds a workspace of the caller it can be read: no other may become readable so. Raises NotFound.
    """
    seen = sa.or_(_visible(actor), PolicyRow.name.in_(packaged_policies()))
    return find(
        session, PolicyRow, reference, kind="policy", name=PolicyRow.name, key=reference, visible=seen
    )


def _require_operator(actor: Actor) -> None:
    if not actor.is_operator:
        raise Forbidden(
            "operator-only",
            "Policies and plans are the platform operator's.",
            "Ask the operator of this installation.",
        )


def _read(read: Callable[[], DocumentTree]) -> DocumentTree:
    try:
        return read()
    except DocumentErrors as error:
        raise InvalidDocuments(error.problems) from error


def _put(change: ControlChange, before: PolicySet, document: Document) -> DocumentChange:
    """Write one document, unless it is in force as it is."""
    known = before.get(document.kind, document.name)
    difference = compare(known, document)
    if difference.change == "unchanged":
        return difference
    row = write_document(change, document)
    change.audit(
        f"{document.kind}.apply",
        document.kind,
        row.id,
        tenant_id=None,
        before=None if known is None else _payload(known, known.version),
        after=_payload(document, row.version),
    )
    change.changed(document.kind, row.id)
    return difference


def _payload(document: Document, version: int) -> dict[str, object]:
    return {"name": document.name, "version": version, "document": document.text}


def _visible(actor: Actor) -> sa.ColumnElement[bool]:
    if actor.is_operator:
        return sa.true()
    return PolicyRow.name.in_(sa.select(WorkspaceRow.policy).where(visible(actor, WorkspaceRow)))


def find_document(session: Session, actor: Actor, reference: str) -> tuple[Kind, PolicyRow | PlanRow]:
    """A policy by name or id, or a plan as `plans/NAME`, that the caller may see. Raises NotFound."""
    for prefix in _PLAN_PREFIXES:
        if reference.startswith(prefix):
            name = reference.removeprefix(prefix)
            return "plan", find(session, PlanRow, name, kind="plan", name=PlanRow.name, key=name)
    row = find(
        session,
        PolicyRow,
        reference,
        kind="policy",
        name=PolicyRow.name,
        key=reference,
        visible=_visible(actor),
    )
    return "policy", row
