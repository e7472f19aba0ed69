"""How far a key that is made may reach: no further than the key that makes it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from sqlalchemy.orm import Session

from gateway.control.apikeys.model import ApiKeyRow
from gateway.control.errors import Forbidden, Invalid
from gateway.control.lookup import shown
from gateway.control.records import RIGHTS, Actor, Right


def granted_rights(actor: Actor, rights: Iterable[str]) -> tuple[Right, ...]:
    """The rights asked for, in their order. Raises Invalid, Forbidden (the caller has not all of them)."""
    asked = set(rights)
    unknown = asked - set(RIGHTS)
    if unknown or not asked:
        raise Invalid(
            "bad-rights",
            f"{', '.join(map(shown, sorted(unknown))) or 'Nothing'} is no right of an API key.",
            f"Choose from {', '.join(RIGHTS)}.",
        )
    beyond = asked - actor.rights
    if beyond:
        raise wider(f"the right {', '.join(sorted(beyond))}")
    return tuple(right for right in RIGHTS if right in asked)


def inherit_limits(session: Session, actor: Actor, row: ApiKeyRow) -> None:
    """Keep a new key to the networks and the end of the key that makes it. Raises Forbidden.

    What was not asked for is taken over: a key that leaked must not outlive itself.
    """
    maker = session.get(ApiKeyRow, actor.id) if actor.kind == "api" else None
    if maker is None:
        return
    if maker.networks:
        beyond = [network for network in row.networks if not _lies_in(network, maker.networks)]
        if beyond:
            raise wider(f"the network {', '.join(beyond)}")
        row.networks = row.networks or list(maker.networks)
    if maker.expires_at is not None:
        if row.expires_at is not None and row.expires_at > maker.expires_at:
            raise wider("an end after the caller's own")
        row.expires_at = row.expires_at or maker.expires_at


def wider(what: str) -> Forbidden:
    """The refusal of what would reach further than the caller."""
    return Forbidden(
        "wider-than-caller",
        f"A key cannot be given {what}, which the caller does not have.",
        "Ask for less, or use a key with wider limits.",
    )


def _lies_in(network: str, others: Iterable[str]) -> bool:
    inner = ipaddress.ip_network(network)
    for text in others:
        outer = ipaddress.ip_network(text)
        if isinstance(inner, ipaddress.IPv4Network):
            if isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer):
                return True
        elif isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer):
            return True
    return False
