"""What services refuse, as mistakes of the keys that they refuse, with what may stand there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.declarations.schema import TABLES
from gateway.control.declarations.values import Declared
from gateway.control.errors import ServiceError
from gateway.control.plans.model import PlanRow
from gateway.control.policies.model import PolicyRow
from gateway.system.toml_lines import Problem, did_you_mean

_NAME = "name"
_MOST_LISTED = 20

_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "plan-not-found": ("plan", "plans"),
        "policy-not-found": ("policy",),
        "above-plan": ("policy", "plan"),
        "no-location": ("location",),
        "no-source": ("pool",),
        "bad-contact": ("contacts",),
        "too-many-contacts": ("contacts",),
        "bad-environment": ("environment",),
        "environment-differs": ("environment",),
        "pattern-taken": ("patterns",),
        "too-many-patterns": ("patterns",),
        "client-id-taken": ("client_id",),
        "bad-client-id": ("client_id",),
        "bad-mode": ("mode",),
        "bad-stream": ("streams",),
        "too-many-streams": ("streams",),
        "bad-weight": ("weight",),
        "bad-route": ("route",),
        "not-production": ("route",),
        "wrong-state": ("state",),
        "no-address": ("ipv4", "ipv6"),
        "bad-address": ("items", "ipv4", "ipv6"),
        "bad-top-level": ("items",),
        "bad-domain-name": ("items", _NAME),
        "list-full": ("items",),
        **dict.fromkeys(
            (
                "bad-name",
                "tenant-exists",
                "tenant-deleting",
                "platform-tenant",
                "workspace-exists",
                "domain-exists",
                "domain-deleting",
                "domain-held",
                "public-suffix",
                "platform-name",
                "parent-held",
                "shard-exists",
                "source-exists",
                "list-exists",
            ),
            (_NAME,),
        ),
    }
)
"""The keys that a refusal may be about, by its code: the first that the file says."""

_DOCUMENTS: Mapping[str, str] = MappingProxyType({"plan": "plan", "plans": "plan", "policy": "policy"})


class Judge:
    """Knows what is there while declarations are made, in their transaction."""

    def __init__(self, session: Session, locations: Collection[str]) -> None:
        self._session = session
        self._locations = locations
        self._promised: set[tuple[str, str]] = set()

    def promise(self, documents: Iterable[tuple[str, str]]) -> None:
        """Policies and plans of these paths belong to the declarations: they are, or will be, there."""
        for path in (PurePosixPath(one) for one, _ in documents):
            self._promised.add(("plan" if path.parent.name == "plans" else "policy", path.stem))

    def is_promised(self, thing: Declared, key: str) -> bool:
        """Whether a refused key names only documents of the declarations: their mistakes are told already."""
        value = thing.fields.get(key)
        names = value if isinstance(value, tuple) else (value,)
        kind = _DOCUMENTS.get(key)
        there = self._names(key)
        missing = [name for name in names if name not in there]
        return bool(missing) and kind is not None and all((kind, one) in self._promised for one in missing)

    def key(self, thing: Declared, error: ServiceError) -> str:
        """The key that a refusal is about; "" where it is about the thing as a whole."""
        for key in _KEYS.get(error.code, ()):
            if key in thing.fields:
                return key
            if key == _NAME and TABLES[thing.kind].keys:
                return TABLES[thing.kind].named_by
        return ""

    def problem(self, thing: Declared, key: str, error: ServiceError) -> Problem:
        """The refusal as a mistake in the file, with what is allowed where that is a matter of values."""
        names = self._names(key) if error.status in (404, 422) else ()
        if names:
            said = thing.fields[key]
            hint = did_you_mean(said, names) if isinstance(said, str) else ""
            allowed = _listed(names)
            return thing.problem(key, f"{error.detail.rstrip('.')}{hint}; allowed: {allowed}", allowed)
        known = TABLES[thing.kind].keys.get(key)
        allowed = known.allowed if known is not None and error.status == 422 else ""
        return thing.problem(key, f"{error.detail} {error.fix}".strip(), allowed)

    def _names(self, key: str) -> tuple[str, ...]:
        """The names that may stand at a key; none where it is not for a name of what is there."""
        if key == "location":
            return tuple(sorted(self._locations))
        column = {"plan": PlanRow.name, "plans": PlanRow.name, "policy": PolicyRow.name}.get(key)
        return tuple(self._session.scalars(sa.select(column).order_by(column))) if column is not None else ()


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more
