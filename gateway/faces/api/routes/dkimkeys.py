"""`/v1/dkim-keys`: what signs. The private half goes in and never comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from gateway.control.keys.view import KeyView
from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import ClientId, LongName, MetadataChange, Name, Patch, Request
from gateway.faces.api.operation import operation

api = APIRouter(tags=["dkim-keys"])

_LONGEST_PEM = 20_000


class KeyCreate(Request):
    """A fresh key of a domain; `bits` are an RSA key's."""

    domain: LongName
    algorithm: Literal["rsa", "ed25519"] = "rsa"
    bits: Literal[2048, 4096] = 2048


class KeyImport(Request):
    """An existing private key, PEM without a password, and the selector it is published under."""

    domain: LongName
    pem: Annotated[str, StringConstraints(max_length=_LONGEST_PEM)]
    selector: Name | None = None


class KeyRotate(Request):
    """Whose keys get successors: a domain's, or a shard's."""

    domain: LongName


class KeyUpdate(Patch):
    """What is to change."""

    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> KeyView:
    return services.keys.show(actor, path["dkim_key"])


@operation(api, "POST", "/dkim-keys", cli="dkim-key create", shows=KeyView, status=201)
def create_key(call: Caller, body: KeyCreate) -> KeyView:
    """Make a key for a domain."""
    return call.services.keys.create(call.actor, **body.given())


@operation(api, "POST", "/dkim-keys/import", cli="dkim-key import", shows=KeyView, status=201)
def import_key(call: Caller, body: KeyImport) -> KeyView:
    """Take an existing private key."""
    return call.services.keys.import_pem(call.actor, body.domain, body.pem.encode(), selector=body.selector)


@operation(api, "POST", "/dkim-keys/rotate", cli="dkim-key rotate", shows=KeyView, many=True)
def rotate_keys(call: Caller, body: KeyRotate) -> tuple[KeyView, ...]:
    """Make a successor for each active key of a domain or a shard, or name the one that waits."""
    return call.services.keys.rotate(call.actor, body.domain)


@operation(api, "GET", "/dkim-keys", cli="dkim-key list", shows=KeyView, many=True)
def list_keys(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(
            paging(
                "domain",
                "tenant",
                "state",
                "algorithm",
                "selector",
                "client_id",
                sorts=("domain", "created_at"),
            )
        ),
    ],
) -> Page[KeyView]:
    """Keys, never their private halves."""
    return call.services.keys.page(call.actor, page)


@operation(api, "GET", "/dkim-keys/{dkim_key}", cli="dkim-key show", shows=KeyView)
def show_key(call: Caller, dkim_key: str) -> KeyView:
    """One key and its DNS record, by id or the record's name."""
    return call.services.keys.show(call.actor, dkim_key)


@operation(api, "PATCH", "/dkim-keys/{dkim_key}", cli="dkim-key update", shows=KeyView, current=_current)
def update_key(call: Caller, dkim_key: str, body: KeyUpdate) -> KeyView:
    """Change a key's client_id or metadata."""
    return call.services.keys.update(call.actor, dkim_key, **body.changes())


@operation(
    api, "POST", "/dkim-keys/{dkim_key}/activate", cli="dkim-key activate", shows=KeyView, current=_current
)
def activate_key(call: Caller, dkim_key: str) -> KeyView:
    """Sign with a pending key from now on: its record is published."""
    return call.services.keys.activate(call.actor, dkim_key)


@operation(
    api, "POST", "/dkim-keys/{dkim_key}/revoke", cli="dkim-key revoke", shows=KeyView, current=_current
)
def revoke_key(call: Caller, dkim_key: str) -> KeyView:
    """Never sign with a key again; queued mail is signed anew."""
    return call.services.keys.revoke(call.actor, dkim_key)
