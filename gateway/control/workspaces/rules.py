"""What workspaces and tenants ask of the policies' room."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy.orm import Session

from gateway.control.records import Actor


class PolicyRules(Protocol):
    """What workspaces ask of the policies' room, inside a transaction."""

    def chosen(self, session: Session, actor: Actor, policy: str, plan: str | None, workspace: str) -> str:
        """The name of the policy (a name or id) that the caller gives a workspace.

        Refuses one that the caller may not choose, or (with `plan`: the owner's) that exceeds the plan;
        `workspace` names it in the refusal. Raises NotFound, Conflict.
        """
        ...
