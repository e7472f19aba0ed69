"""`/v1/declarations`: what files say is to be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from gateway.control.declarations.reading import LARGEST_FILE
from gateway.control.declarations.values import Plan
from gateway.faces.api.caller import Caller
from gateway.faces.api.facts import MIB, Bounds
from gateway.faces.api.models import Request, Text
from gateway.faces.api.operation import operation

api = APIRouter(tags=["declarations"])

MOST_FILES = 20_000
_BOUNDS = Bounds(64 * MIB, 4 * MOST_FILES)


class DeclarationFile(Request):
    """A file; one in a folder `policies` or `plans` is a policy document."""

    path: Text
    text: Annotated[str, StringConstraints(max_length=LARGEST_FILE)]


class DeclarationFiles(Request):
    """Files that belong together. `prune`: things of the kinds that they name, but not named, go too."""

    files: Annotated[tuple[DeclarationFile, ...], Field(min_length=1, max_length=MOST_FILES)]
    prune: bool = False

    def read(self) -> list[tuple[str, str]]:
        """The files as the service takes them."""
        return [(file.path, file.text) for file in self.files]


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that changes nothing when it is applied."""

    path: str
    text: str


@operation(
    api, "POST", "/declarations/plan", cli="plan", right="read", shows=Plan, once=False, bounds=_BOUNDS
)
def plan_declarations(call: Caller, body: DeclarationFiles) -> Plan:
    """What applying files would change; nothing is changed."""
    return call.services.declarations.plan(call.actor, body.read(), prune=body.prune)


@operation(api, "POST", "/declarations/apply", cli="apply", shows=Plan, bounds=_BOUNDS)
def apply_declarations(call: Caller, body: DeclarationFiles) -> Plan:
    """Make it so, in one transaction; shows what was changed."""
    return call.services.declarations.apply(call.actor, body.read(), prune=body.prune)


@operation(api, "GET", "/declarations", cli="export", shows=ExportedFile, many=True)
def export_declarations(call: Caller) -> list[ExportedFile]:
    """All that is there, as files in the same form; secrets are left out."""
    return [ExportedFile(path, text) for path, text in call.services.declarations.export(call.actor)]
