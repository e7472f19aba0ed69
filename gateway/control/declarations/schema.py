"""Every key of a declaration, how it is read, and what may stand there (docs/declarations.md)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gateway.control.declarations.values import Kind, Value
from gateway.control.domains.model import MODES
from gateway.control.domains.names import parse_name
from gateway.control.errors import ServiceError
from gateway.control.lists.model import KINDS as LIST_KINDS
from gateway.control.lookup import clean_metadata, clean_name
from gateway.control.records import ENVIRONMENTS
from gateway.control.shards.route import parse_route
from gateway.control.shards.service import clean_streams
from gateway.control.tenants.service import clean_contacts
from gateway.control.workspaces.assignment import clean_patterns

Reader = Callable[[Any], Value]
"""The value as it is kept and compared. Raises ValueError or a ServiceError that says why not."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table. `fixed`: it never changes once the thing is there."""

    read: Reader
    allowed: str
    required: bool = False
    fixed: bool = False

    def value(self, raw: object) -> Value:
        """What the file says. Raises ValueError, whose text says what is wrong."""
        try:
            return self.read(raw)
        except ServiceError as error:
            raise ValueError(error.detail.rstrip(".")) from error


@dataclass(frozen=True, slots=True)
class Table:
    """A kind of thing: its keys, the one that names it, and the tables that may stand in it."""

    keys: Mapping[str, Key]
    named_by: str = "name"


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError
    return raw.strip()


def _flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise ValueError  # noqa: TRY004 - callers turn ValueError into a problem of the file
    return raw


def _yes(raw: Any) -> bool:
    if raw is not True:
        raise ValueError
    return True


def _number(raw: Any) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not 1 <= raw <= 1000:
        raise ValueError
    return raw


def _texts(raw: Any) -> list[str]:
    if not isinstance(raw, list) or not all(isinstance(one, str) for one in raw):
        raise ValueError
    return raw


def _one_of(words: tuple[str, ...]) -> Reader:
    def read(raw: Any) -> str:
        if not isinstance(raw, str) or raw not in words:
            raise ValueError
        return raw

    return read


def _environments(raw: Any) -> tuple[str, ...]:
    words = set(_texts(raw))
    if not words <= set(ENVIRONMENTS):
        raise ValueError
    return tuple(one for one in ENVIRONMENTS if one in words)


def _pairs(raw: Any) -> dict[str, str]:
    if not isinstance(raw, dict) or not all(isinstance(one, str) for one in raw.values()):
        raise ValueError
    return clean_metadata(raw)


def _domain_name(what: str) -> Reader:
    return lambda raw: parse_name(_text(raw), what=what)


def _route(raw: Any) -> str:
    route, credentials = parse_route(_text(raw))
    if credentials is not None:
        raise ValueError(
            "a user name or password does not belong into a file: leave them out and set them with "
            "`gatepost shard route`; they stay as long as the route does"
        )
    return route.url


def _address(version: int) -> Reader:
    def read(raw: Any) -> str:
        address = ipaddress.ip_address(_text(raw))
        if address.version != version:
            raise ValueError
        return str(address)

    return read


_LISTED = "a list of texts"
_ENVIRONMENT = Key(_one_of(ENVIRONMENTS), " or ".join(f'"{one}"' for one in ENVIRONMENTS), fixed=True)
_COMMON = {
    "client_id": Key(_text, "a text of yours, unique among its owner's things of the kind"),
    "metadata": Key(_pairs, 'up to 50 pairs of texts: { crm = "4711" }'),
}

TENANT = Table(
    {
        "name": Key(
            lambda raw: clean_name(_text(raw), "tenant"), "a name of 1 to 100 characters", required=True
        ),
        "plan": Key(_text, "a plan's name"),
        "contacts": Key(lambda raw: tuple(clean_contacts(_texts(raw))), "a list of addresses"),
        "notices": Key(_flag, "true or false"),
        "trial": Key(
            _environments, "a list of environments: " + ", ".join(f'"{one}"' for one in ENVIRONMENTS)
        ),
        **_COMMON,
    }
)
WORKSPACE = Table(
    {
        "name": Key(
            lambda raw: clean_name(_text(raw), "workspace"), "a name of 1 to 100 characters", required=True
        ),
        "environment": _ENVIRONMENT,
        "policy": Key(_text, "a policy's name"),
        "location": Key(_text, "a location of the configuration"),
        "default": Key(_yes, "true; it stops being the default when another one says so"),
        "patterns": Key(
            lambda raw: tuple(clean_patterns(_texts(raw))), 'a list such as ["acme.com", "*.acme.com"]'
        ),
        **_COMMON,
    }
)
DOMAIN = Table(
    {
        "name": Key(_domain_name("domain"), "a full name such as acme.com", required=True),
        "environment": _ENVIRONMENT,
        "mode": Key(_one_of(MODES), " or ".join(f'"{one}"' for one in MODES)),
        **_COMMON,
    }
)
SHARD = Table(
    {
        "name": Key(_domain_name("shard"), "a full name such as s1.mail.acme.com", required=True),
        "environment": _ENVIRONMENT,
        "route": Key(_route, '"mx", "smtp://host:25", "smtps://host", "capture:" or "local:"'),
        "streams": Key(lambda raw: tuple(clean_streams(_texts(raw))), 'a list such as ["transactional"]'),
        "weight": Key(_number, "a whole number from 1 to 1000"),
        "sign": Key(_flag, "true or false"),
        "pool": Key(_text, "a pool of source addresses"),
        "state": Key(_one_of(("active", "paused", "retired")), '"active", "paused" or "retired"'),
        **_COMMON,
    }
)
SOURCE = Table(
    {
        "helo": Key(_domain_name("HELO name"), "a full name such as out1.example.net", required=True),
        "ipv4": Key(_address(4), "an IPv4 address", fixed=True),
        "ipv6": Key(_address(6), "an IPv6 address", fixed=True),
        "pool": Key(_text, "a pool's name"),
        "plans": Key(lambda raw: tuple(_texts(raw)), "a list of plans' names; empty: every plan"),
        "state": Key(_one_of(("active", "retired")), '"active" or "retired"'),
        **_COMMON,
    },
    named_by="helo",
)
LIST = Table(
    {
        "name": Key(_text, "a list's name", required=True),
        "kind": Key(
            _one_of(LIST_KINDS), " or ".join(f'"{one}"' for one in LIST_KINDS), required=True, fixed=True
        ),
        "description": Key(_text, "a text"),
        "items": Key(lambda raw: tuple(_texts(raw)), _LISTED),
        **_COMMON,
    }
)
TABLES: Mapping[Kind, Table] = MappingProxyType(
    {
        "source": SOURCE,
        "tenant": TENANT,
        "trial": Table({}),
        "list": LIST,
        "workspace": WORKSPACE,
        "domain": DOMAIN,
        "shard": SHARD,
    }
)
