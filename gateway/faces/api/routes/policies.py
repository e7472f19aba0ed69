"""`/v1/policies`: documents that say what accounts may do; and what they say of a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field, StringConstraints

from gateway.control.paging import Page, PageQuery
from gateway.control.policies.comparison import DocumentChange
from gateway.control.policies.view import PolicyView
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.faces.api.caller import Caller
from gateway.faces.api.explained import Explained
from gateway.faces.api.facts import MIB, Bounds
from gateway.faces.api.listing import paging
from gateway.faces.api.models import ClientId, MetadataChange, Name, Patch, Request, Text
from gateway.faces.api.operation import operation
from gateway.outgoing.simulation import Simulation

api = APIRouter(tags=["policies"])

MOST_FILES = 1_000
LONGEST_TEXT = MIB
_BOUNDS = Bounds(16 * MIB)

Version = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="An earlier version.")]


class File(Request):
    """A document: `path` is its name in messages; `NAME.toml`, below a folder `plans` a plan's."""

    path: Text
    text: Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]


class Files(Request):
    """Documents that belong together: all of them are put in force, or none."""

    files: Annotated[tuple[File, ...], Field(min_length=1, max_length=MOST_FILES)]

    def read(self) -> list[tuple[str, str]]:
        """The files as services take them."""
        return [(file.path, file.text) for file in self.files]


class Trial(Files):
    """Documents in place of those in force with the same names, over the last `days` of a workspace's mail.

    A policy that the workspace does not use yet is tried in place of its own. `most` messages are listed.
    """

    workspace: Name
    days: Annotated[float, Field(gt=0, le=400)] = 30
    most: Annotated[int, Field(ge=1, le=100_000)] = 1_000


class PolicyUpdate(Patch):
    """The caller's own words for a policy; its document is applied."""

    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


class MessageInQuestion(Request):
    """A message that is not sent: `size` as in documents, such as `2 KiB`.

    `credential`: the app password that it would be sent with, by its key id.
    """

    sender: Text | None = None
    recipients: Annotated[tuple[Text, ...], Field(max_length=1_000)] = ()
    size: Name = "2 KiB"
    stream: Name | None = None
    credential: Name | None = None


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> PolicyView:
    return services.policies.show(actor, path["policy"])


@operation(api, "GET", "/policies", cli="policy list", shows=PolicyView, many=True)
def list_policies(
    call: Caller,
    page: Annotated[
        PageQuery, Depends(paging("name", "client_id", sorts=("name", "created_at", "updated_at")))
    ],
) -> Page[PolicyView]:
    """The policies that bind what the caller may see, at the version in force."""
    return call.services.policies.page(call.actor, page)


@operation(
    api,
    "POST",
    "/policies/plan",
    cli="policy plan",
    bounds=_BOUNDS,
    right="read",
    shows=DocumentChange,
    many=True,
    once=False,
)
def plan_policies(call: Caller, body: Files) -> tuple[DocumentChange, ...]:
    """What applying documents would change, key by key; nothing is changed."""
    return call.services.policies.plan_documents(call.actor, body.read())


@operation(
    api, "POST", "/policies/apply", cli="policy apply", shows=DocumentChange, many=True, bounds=_BOUNDS
)
def apply_policies(call: Caller, body: Files) -> tuple[DocumentChange, ...]:
    """Put documents in force, all or nothing; every account follows within a second."""
    return call.services.policies.apply_documents(call.actor, body.read())


@operation(
    api,
    "POST",
    "/policies/simulate",
    cli="policy simulate",
    right="read",
    shows=Simulation,
    once=False,
    bounds=_BOUNDS,
)
def simulate_policies(call: Caller, body: Trial) -> Simulation:
    """What changed documents would have made of recorded mail: refused, held, by rule, account, message."""
    return call.parts.simulate(call.actor, body.read(), body.workspace, days=body.days, most=body.most)


@operation(api, "GET", "/policies/{policy}", cli="policy show", shows=PolicyView)
def show_policy(call: Caller, policy: str, version: Version = None) -> PolicyView:
    """One policy with its document, in force or at an earlier version."""
    return call.services.policies.show(call.actor, policy, version)


@operation(api, "PATCH", "/policies/{policy}", cli="policy update", shows=PolicyView, current=_current)
def update_policy(call: Caller, policy: str, body: PolicyUpdate) -> PolicyView:
    """Change the caller's own id and pairs of a policy."""
    return call.services.policies.update(call.actor, policy, **body.changes())


@operation(api, "DELETE", "/policies/{policy}", cli="policy delete", shows=PolicyView, current=_current)
def delete_policy(call: Caller, policy: str) -> PolicyView:
    """Take away a policy that nobody uses; what it said stays in the audit."""
    return call.services.deletion.delete_policy(call.actor, policy)


@operation(api, "GET", "/policies/{policy}/versions", cli="policy versions", shows=PolicyView, many=True)
def list_policy_versions(call: Caller, policy: str) -> tuple[PolicyView, ...]:
    """Every version of a policy, newest first."""
    return call.services.policies.versions(call.actor, policy)


@operation(
    api,
    "POST",
    "/accounts/{account}/explain",
    cli="policy explain",
    right="read",
    shows=Explained,
    once=False,
)
def explain(call: Caller, account: str, body: MessageInQuestion | None = None) -> Explained:
    """The whole decision for a message that is not sent: limits, rules, shard, and the exact SMTP reply."""
    return call.parts.explain(call.actor, account, **(body.given() if body is not None else {}))
