"""Which workspace an account belongs into by itself: domain patterns, then defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.names import parse_name
from gateway.control.errors import Invalid
from gateway.control.workspaces.model import SHARED, WorkspacePatternRow, WorkspaceRow

_MOST_PATTERNS = 100


@dataclass(frozen=True, slots=True)
class Assignments:
    """Patterns and defaults of one environment: `patterns` by owner and pattern, `defaults` by owner."""

    patterns: Mapping[tuple[str, str], str]
    defaults: Mapping[str, str]

    def workspace_of(self, tenant_id: str, domain: str) -> str | None:
        """The id of the workspace that an account of this domain belongs into by itself.

        The most specific pattern of its tenant's and the shared workspaces (the tenant's own where both have
        it), then the tenant's default, then the platform's.
        """
        owners = (tenant_id, SHARED)
        for pattern in _patterns_matching(domain):
            for owner in owners:
                found = self.patterns.get((owner, pattern))
                if found is not None:
                    return found
        return next((self.defaults[owner] for owner in owners if owner in self.defaults), None)


def read_assignments(
    session: Session, environment: str, owners: Sequence[str] | None = None, domain: str | None = None
) -> Assignments:
    """The assignments of an environment; only those of some owners, only those for a domain if given."""
    patterns = sa.select(
        WorkspacePatternRow.owner, WorkspacePatternRow.pattern, WorkspacePatternRow.workspace_id
    ).where(WorkspacePatternRow.environment == environment)
    defaults = sa.select(WorkspaceRow.owner, WorkspaceRow.id).where(
        WorkspaceRow.environment == environment, WorkspaceRow.is_default
    )
    if owners is not None:
        patterns = patterns.where(WorkspacePatternRow.owner.in_(owners))
        defaults = defaults.where(WorkspaceRow.owner.in_(owners))
    if domain is not None:
        patterns = patterns.where(WorkspacePatternRow.pattern.in_(_patterns_matching(domain)))
    return Assignments(
        {(owner, pattern): workspace_id for owner, pattern, workspace_id in session.execute(patterns)},
        dict(session.execute(defaults).all()),
    )


def assigned_workspace(
    session: Session, tenant_id: str, domain: str, environment: str
) -> WorkspaceRow | None:
    """The workspace that an account of this domain belongs into by itself."""
    known = read_assignments(session, environment, (tenant_id, SHARED), domain)
    found = known.workspace_of(tenant_id, domain)
    return session.get_one(WorkspaceRow, found) if found is not None else None


def clean_patterns(patterns: Sequence[str]) -> list[str]:
    """Patterns in A-labels, each once: "acme.com", or "*.acme.com" for all below it. Raises Invalid."""
    clean = []
    for pattern in patterns:
        star, rest = ("*.", pattern[2:]) if pattern.startswith("*.") else ("", pattern)
        clean.append(star + parse_name(rest, what="pattern", fewest_labels=1 if star else 2))
    words = sorted(set(clean))
    if len(words) > _MOST_PATTERNS:
        raise Invalid(
            "too-many-patterns", f"{len(words)} patterns are too many.", f"Give {_MOST_PATTERNS} at most."
        )
    return words


def _patterns_matching(domain: str) -> list[str]:
    """Every pattern that has the domain, the most specific first."""
    labels = domain.split(".")
    return [domain] + ["*." + ".".join(labels[start:]) for start in range(1, len(labels))]
