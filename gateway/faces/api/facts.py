"""What is known of an operation beside its handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.control.records import Actor, Right
    from gateway.control.services import ControlServices

Current = Callable[["ControlServices", "Actor", Mapping[str, str]], Any]
"""Shows a resource inside a transaction, by the path's parameters: what `If-Match` is compared with."""

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a body may be: in octets, and in JSON values, which cost far more than their octets."""

    octets: int = MIB
    values: int = 5_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What a call must fulfil. `support`: the right of that name will do too. `once`: takes a key.

    `many`: it shows a list, whose cursors are sealed on the way out and opened on the way in.
    `takes`: a media type that its body may have instead of JSON. `shape`: what its JSON is validated as.
    """

    cli: str
    right: Right
    support: bool
    once: bool
    current: Current | None
    many: bool = False
    bounds: Bounds = Bounds()
    takes: str | None = None
    shape: Any = None


def facts_of(endpoint: Any) -> Facts:
    """What `operation` noted of a route's endpoint."""
    facts: Facts = endpoint.facts
    return facts
