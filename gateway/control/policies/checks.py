"""What documents must fulfil together: parents that exist, no circles, nothing above a tenant's plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.control.errors import Conflict
from gateway.control.plans.model import PlanRow
from gateway.control.policies.documents import Document
from gateway.control.policies.effective import Limit
from gateway.control.policies.folder import DocumentTree
from gateway.control.policies.keys import key_of
from gateway.control.policies.resolution import Excess, PolicySet, UnknownDocument
from gateway.control.tenants.model import TenantRow
from gateway.control.workspaces.model import WorkspaceRow
from gateway.system.toml_lines import Path, Problem, did_you_mean

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class OwnedWorkspace:
    """A workspace that one tenant owns, with the names of its policy and of the tenant's plan."""

    workspace: str
    tenant: str
    policy: str
    plan: str


Workspaces = Sequence[OwnedWorkspace]


def owned_workspaces(session: Session) -> Workspaces:
    """Every workspace that has a tenant of its own."""
    statement = (
        sa.select(WorkspaceRow.name, TenantRow.name, WorkspaceRow.policy, PlanRow.name)
        .join(TenantRow, WorkspaceRow.tenant_id == TenantRow.id)
        .join(PlanRow, TenantRow.plan_id == PlanRow.id)
        .order_by(TenantRow.name, WorkspaceRow.name)
    )
    return [OwnedWorkspace(*row) for row in session.execute(statement)]


def problems_of(
    tree: DocumentTree, before: PolicySet, workspaces: Workspaces, locations: frozenset[str] | None
) -> tuple[Problem, ...]:
    """What is wrong with putting the documents of `tree` in force beside those of `before`."""
    after = before.with_documents(tree.documents)
    problems = list(_wrong_parents(tree, after))
    problems.extend(_unknown_locations(tree, locations))
    if not problems:
        problems.extend(_above_plans(tree, before, after, workspaces))
    return tuple(sorted(set(problems), key=lambda problem: (problem.file, problem.line, problem.key)))


def require_within_plan(policies: PolicySet, policy: str, plan: str, workspace: str) -> None:
    """For a tenant's own workspace that gets a policy, or its tenant another plan. Raises Conflict."""
    excesses = policies.above_plan(policy, plan)
    if excesses:
        raise Conflict(
            "above-plan",
            f"Policy {policy} allows workspace {workspace} more than its tenant's plan {plan}: "
            + "; ".join(_said(excess) for excess in excesses)
            + ".",
            "Lower these limits in the policy, or choose another policy or plan.",
        )


def _wrong_parents(tree: DocumentTree, after: PolicySet) -> Iterator[Problem]:
    for document in tree.documents:
        if document.extends is None:
            continue
        place = tree.places[document.source]
        if after.get(document.kind, document.extends) is None:
            known = [one.name for one in after.documents if one.kind == document.kind]
            hint = did_you_mean(document.extends, known)
            names = ", ".join(known)
            message = f'there is no {document.kind} "{document.extends}"{hint}; known: {names}'
            yield place.problem(("extends",), message, names)
            continue
        try:
            after.chain(document.kind, document.name)
        except UnknownDocument:
            pass  # further up the chain, said there
        except ValueError as error:
            yield place.problem(("extends",), str(error))


def _unknown_locations(tree: DocumentTree, locations: frozenset[str] | None) -> Iterator[Problem]:
    for document in tree.documents:
        location = document.settings.get("residency.location")
        if locations is not None and isinstance(location, str) and location not in locations:
            hint = did_you_mean(location, locations)
            known = ", ".join(sorted(locations))
            message = f'the configuration has no location "{location}"{hint}; known: {known}'
            yield tree.places[document.source].problem(("residency", "location"), message, known)


def _above_plans(
    tree: DocumentTree, before: PolicySet, after: PolicySet, workspaces: Workspaces
) -> Iterator[Problem]:
    """New excesses. Those of a tenant that was put on a smaller plan are known, and bound by the plan."""
    changed = {document.source for document in tree.documents}
    for one in workspaces:
        try:
            chains = (*after.chain("policy", one.policy), *after.chain("plan", one.plan))
            excesses = after.above_plan(one.policy, one.plan)
        except UnknownDocument:
            continue  # not this document's fault, and without it nobody can sign in there
        if not _sources(chains) & changed:
            continue
        known = _known_excesses(before, one)
        for excess in excesses:
            if excess not in known:
                yield _problem_of(tree, excess, one)


def _known_excesses(before: PolicySet, one: OwnedWorkspace) -> tuple[Excess, ...]:
    try:
        return before.above_plan(one.policy, one.plan)
    except UnknownDocument:
        return ()


def _problem_of(tree: DocumentTree, excess: Excess, one: OwnedWorkspace) -> Problem:
    """Said of the policy's line where the policy is being changed, else of the plan's."""
    path: Path = tuple(excess.key.split("."))
    message = f"{_said(excess)}, in workspace {one.workspace} of tenant {one.tenant}"
    place = tree.places.get(excess.policy.source) or tree.places.get(excess.plan.source)
    if place is None:
        place = next(iter(tree.places.values()))
        return Problem(place.file, 0, excess.key, message)
    return place.problem(path, message)


def _said(excess: Excess) -> str:
    mine, ceiling = shown_limit(excess.key, excess.policy), shown_limit(excess.key, excess.plan)
    return (
        f"{excess.key}: {mine} ({excess.policy.source}) is above the plan's {ceiling} ({excess.plan.source})"
    )


def shown_limit(name: str, limit: Limit) -> str:
    """A limit's value as documents write it; `name` is its dotted key."""
    key = key_of(name)
    assert key is not None, "limits come from the table of keys"
    return key.reader.show(limit.value)


def _sources(documents: Iterable[Document]) -> set[str]:
    return {document.source for document in documents}
