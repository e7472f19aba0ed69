"""The documents in force, read once for as long as they are in force."""

from __future__ import annotations

import threading

from sqlalchemy.orm import Session

from gateway.control.policies.resolution import PolicySet
from gateway.control.policies.store import read_policy_set, versions_in_force


class PolicyMemory:
    """The set that was read last: provisioning asks for it with every account. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[frozenset[str], PolicySet] = frozenset(), PolicySet.empty()

    def read(self, session: Session) -> PolicySet:
        """Every policy and plan at the version in force, as `session` sees it. Raises DocumentErrors."""
        versions = versions_in_force(session)
        with self._lock:
            known, policies = self._kept
        if versions != known:
            policies = read_policy_set(session)
            with self._lock:
                self._kept = versions, policies
        return policies
