"""What workspaces and tenants ask of the policies' room."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy.orm import Session


class PolicyRules(Protocol):
    """What workspaces ask of the policies' room, inside a transaction."""

    def check_workspace(self, session: Session, policy: str, plan: str | None, workspace: str) -> None:
        """Refuse a policy that does not exist, or (with `plan`: the owner's) that exceeds the plan.

        `workspace` names it in the refusal. Raises NotFound, Conflict.
        """
        ...
