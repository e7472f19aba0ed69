"""`policy simulate`: recorded mail of a workspace under changed documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.control.directory import Directory
from gateway.control.errors import Invalid, Unavailable
from gateway.control.policies import PolicySet
from gateway.control.raises.past import raises_since
from gateway.outgoing.quota import window_start
from gateway.outgoing.simulation import Simulation, World, simulate
from gateway.outgoing.simulation.simulation import SHOWN_DIFFERENCES
from gateway.system.database import DatabaseAway

if TYPE_CHECKING:
    from gateway.app.desk import OpenedDesk
    from gateway.app.parts import Ground
    from gateway.control.policies.documents import Document
    from gateway.control.records import Actor, WorkspaceRecord

_DAY_SECONDS = 86_400.0
MOST_DAYS = 400


def simulate_policy(
    desk: OpenedDesk,
    actor: Actor,
    files: Sequence[tuple[str, str]],
    workspace: str,
    *,
    days: float = 30,
    most: int = SHOWN_DIFFERENCES,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Simulation:
    """What documents given as (path, text) would have made of the last `days` of a workspace's mail.

    They stand in for those in force with the same names. A policy that the workspace does not use yet is
    tried in the place of its own. Blocking. Raises NotFound, Forbidden, InvalidDocuments, Invalid,
    Unavailable.
    """
    _check_bounds(days, most)
    found = desk.services.workspaces.show(actor, workspace)
    policies, documents = desk.services.policies.candidate(actor, files)
    ground = desk.ground
    until = ground.clock.now()
    directory = Directory(ground.control, clock=ground.clock)
    try:
        directory.refresh()
        world = _world(ground, directory, policies, documents, found.id, until - days * _DAY_SECONDS)
        database = ground.locations.get(world.workspace.location)
        if database is None:
            raise Unavailable(
                "location-away",
                f"The location {world.workspace.location} is not configured on this host.",
                "Run it where that location is.",
            )
        return simulate(
            database,
            world,
            since=until - days * _DAY_SECONDS,
            until=until,
            most=most,
            on_progress=on_progress,
        )
    except DatabaseAway as error:
        raise Unavailable("database-away", str(error), "See `gatepost check`.") from error
    finally:
        directory.stop()


def _check_bounds(days: float, most: int) -> None:
    if not 0 < days <= MOST_DAYS:
        raise Invalid("bad-days", f"{days} is no number of days.", f"Give 1 to {MOST_DAYS}.")
    if not 1 <= most <= 100_000:
        raise Invalid("bad-limit", f"{most} is no number of messages to list.", "Give 1 to 100000.")


def _world(
    ground: Ground,
    directory: Directory,
    policies: PolicySet,
    documents: Sequence[Document],
    workspace_id: str,
    since: float,
) -> World:
    workspace = directory.workspace(workspace_id)
    assert workspace is not None, "the service showed it"
    with ground.control.read() as connection:
        raises = raises_since(connection, window_start("month", since))
    return World(
        _tried(workspace, policies, documents), policies, directory.tenant, directory.lists_of, raises
    )


def _tried(workspace: WorkspaceRecord, policies: PolicySet, documents: Sequence[Document]) -> WorkspaceRecord:
    """The workspace, with the one policy that it does not use yet instead of its own."""
    used = {document.name for document in policies.chain("policy", workspace.policy)}
    given = [document.name for document in documents if document.kind == "policy"]
    if len(given) == 1 and len(documents) == 1 and given[0] not in used:
        return replace(workspace, policy=given[0])
    return workspace
