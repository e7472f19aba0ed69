"""Which workspace an account belongs into by itself: domain patterns, then defaults."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.names import parse_name
from gateway.control.errors import Invalid
from gateway.control.workspaces.model import SHARED, WorkspacePatternRow, WorkspaceRow

_MOST_PATTERNS = 100


def assigned_workspace(
    session: Session, tenant_id: str, domain: str, environment: str
) -> WorkspaceRow | None:
    """The workspace that an account of this domain belongs into by itself.

    The most specific pattern of its tenant's and the shared workspaces (the tenant's own where both have
    it), then the tenant's default, then the platform's.
    """
    matches = session.execute(
        sa.select(
            WorkspacePatternRow.pattern, WorkspacePatternRow.owner, WorkspacePatternRow.workspace_id
        ).where(
            WorkspacePatternRow.environment == environment,
            WorkspacePatternRow.owner.in_([tenant_id, SHARED]),
            WorkspacePatternRow.pattern.in_(_patterns_matching(domain)),
        )
    ).all()
    if matches:
        best = max(matches, key=lambda row: (*_specificity(row.pattern), row.owner != SHARED))
        return session.get_one(WorkspaceRow, best.workspace_id)
    for owner in (tenant_id, SHARED):
        default = session.scalars(
            sa.select(WorkspaceRow).where(
                WorkspaceRow.owner == owner, WorkspaceRow.environment == environment, WorkspaceRow.is_default
            )
        ).one_or_none()
        if default is not None:
            return default
    return None


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
    labels = domain.split(".")
    return [domain] + ["*." + ".".join(labels[start:]) for start in range(1, len(labels))]


def _specificity(pattern: str) -> tuple[bool, int]:
    return not pattern.startswith("*."), len(pattern)
