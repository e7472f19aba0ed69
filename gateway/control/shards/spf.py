"""What an SPF record has to name for mail that leaves through a smarthost."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.control.shards.route import Route

MOST_TERMS = 5
"""Of the ten look-ups that a whole record may cost (RFC 7208 §4.6.4)."""

_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


def clean_terms(text: str) -> tuple[str, ...]:
    """The terms between commas, in lower case: include:, a:, mx:, ip4: and ip6:. Raises ValueError."""
    terms = tuple(text.lower().split(","))
    if len(terms) > MOST_TERMS:
        raise ValueError(text)
    return tuple(map(_term, terms))


def spf_terms(route: Route) -> tuple[str, ...]:
    """The terms for a smarthost: those that the route names, else its own address; none for other routes."""
    if route.kind not in ("smtp", "smtps"):
        return ()
    if route.spf:
        return route.spf
    try:
        return (f"ip{ipaddress.ip_address(route.host).version}:{route.host}",)
    except ValueError:
        return (f"a:{route.host}",)


def _term(text: str) -> str:
    kind, _, value = text.partition(":")
    if kind in ("include", "a", "mx") and _NAME.fullmatch(value):
        return text
    if kind not in ("ip4", "ip6") or f"ip{ipaddress.ip_network(value, strict=False).version}" != kind:
        raise ValueError(text)
    return text
