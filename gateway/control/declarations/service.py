"""Declarations: planned, applied all or nothing, exported in the same form."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gateway.control.declarations.exporting import exported
from gateway.control.declarations.reading import gather_declarations
from gateway.control.declarations.reconciling import Reconciler, handlers
from gateway.control.declarations.values import Declarations, InvalidDeclarations, Plan
from gateway.control.errors import Forbidden
from gateway.control.keys.material import KeyMaker, KeyMaterial
from gateway.control.keys.ready import ReadyKeys
from gateway.control.policies.store import read_policy_set
from gateway.control.recording import payload
from gateway.control.records import Actor, KeyAlgorithm
from gateway.control.transaction import ControlChange

if TYPE_CHECKING:
    from gateway.control.services import ControlServices

Kinds = list[tuple[KeyAlgorithm, int]]


class DeclarationService:
    """The operator's: what files say of tenants, workspaces, domains, shards, lists, sources and policies."""

    def __init__(self, services: ControlServices) -> None:
        self._services = services

    def plan(self, actor: Actor, files: Sequence[tuple[str, str]], *, prune: bool = False) -> Plan:
        """What applying files, given as (path, text), would change; nothing is changed.

        A file manages what it names. With `prune`, things that it does not name go too: of the kinds that it
        names, of the same owner. Raises InvalidDeclarations, Forbidden.
        """
        _operator_only(actor)
        return self._rehearse(actor, gather_declarations(files), prune)[0]

    def apply(self, actor: Actor, files: Sequence[tuple[str, str]], *, prune: bool = False) -> Plan:
        """Make it so, in one transaction; gives what was changed. Raises InvalidDeclarations, Forbidden."""
        _operator_only(actor)
        declared = gather_declarations(files)
        _, kinds = self._rehearse(actor, declared, prune)
        ready = ReadyKeys(
            self._make(kinds), lambda algorithm, bits: self._services.keys.make(algorithm, bits)
        )
        with self._services.writes.change(actor) as change:
            plan = self._reconcile(actor, change, declared, prune, ready)
            change.result = payload(plan)
            return plan

    def export(self, actor: Actor) -> tuple[tuple[str, str], ...]:
        """What is there, as paths and texts; applying them changes nothing. Secrets are left out.

        Raises Forbidden.
        """
        _operator_only(actor)
        with self._services.writes.view() as session:
            rooms = handlers(self._services, session, actor)
            return tuple(exported(read_policy_set(session), rooms))

    def _rehearse(self, actor: Actor, declared: Declarations, prune: bool) -> tuple[Plan, Kinds]:
        """What would change, and the kinds of the keys that this needs."""
        kinds: Kinds = []

        def make(algorithm: KeyAlgorithm, bits: int) -> KeyMaterial:
            kinds.append((algorithm, bits))
            return KeyMaterial(algorithm, bits, b"rehearsed", f"rehearsed{len(kinds)}")

        with self._services.writes.rehearsal(actor) as change:
            plan = self._reconcile(actor, change, declared, prune, make)
        return plan, kinds

    def _reconcile(
        self, actor: Actor, change: ControlChange, declared: Declarations, prune: bool, make: KeyMaker
    ) -> Plan:
        reconciler = Reconciler(self._services.within(change, make_key=make), change, actor)
        reconciler.run(declared, prune=prune)
        if reconciler.problems:
            raise InvalidDeclarations(reconciler.problems)
        return Plan(tuple(reconciler.changes))

    def _make(self, kinds: Kinds) -> list[KeyMaterial]:
        """Slow for many, so in threads and before the transaction."""
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="keys") as pool:
            return list(pool.map(lambda kind: self._services.keys.make(*kind), kinds))


def _operator_only(actor: Actor) -> None:
    if not actor.is_operator:
        raise Forbidden(
            "operator-only",
            "Declarations are the platform operator's.",
            "Ask the operator of this installation.",
        )
