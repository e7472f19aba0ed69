"""Which event an audited change is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gateway.control.events.types import PREFIX, EventType

Payload = Mapping[str, Any]

_STATES = MappingProxyType(
    {
        "tenant": {"active": "resumed", "suspended": "suspended", "deleting": "deleting"},
        "account": {"active": "resumed", "suspended": "suspended", "deleting": "deleting"},
        "domain": {},
        "key": {"pending": "waiting"},
        "shard": {"active": "resumed", "paused": "paused", "retired": "retired"},
        "webhook": {"active": "resumed", "paused": "paused", "disabled": "disabled"},
    }
)
"""Resources with events, and what a change of their state is called; a domain's by the state itself."""

_PASSWORDS = MappingProxyType(
    {
        "app-password.create": EventType.ACCOUNT_PASSWORD_CREATED,
        "app-password.replace": EventType.ACCOUNT_PASSWORD_REPLACED,
        "app-password.revoke": EventType.ACCOUNT_PASSWORD_REVOKED,
    }
)

_RECORDS = MappingProxyType(
    {
        "domain.record-lost": EventType.DOMAIN_RECORD_LOST,
        "domain.record-recovered": EventType.DOMAIN_RECORD_RECOVERED,
    }
)
"""What was seen in DNS: the domain itself is as it was."""

_MADE = (".create", ".add", ".add-trial")
_NEW_KEYS = ("dkim-key.create", "dkim-key.import", "dkim-key.rotate")

_TYPES = frozenset(one.value for one in EventType)


def event_type(operation: str, kind: str, before: Payload | None, after: Payload | None) -> str | None:
    """The type of the event that an audit entry is; None for what is told to nobody.

    `operation` and `kind` are the entry's, `before` and `after` its payload. A change of a resource's state
    says more than that it was updated, a move of an account too. A check of a domain that changed nothing
    is no event, nor is what was only tried.
    """
    known = _PASSWORDS.get(operation) or _RECORDS.get(operation)
    if known is not None:
        return known
    if kind not in _STATES:
        return None
    word = _word(operation, kind, before, after)
    name = f"{PREFIX}{kind}.{word}"
    return name if name in _TYPES else None


def _word(operation: str, kind: str, before: Payload | None, after: Payload | None) -> str:
    if after is None:
        return "deleted"
    if kind == "key" and operation in _NEW_KEYS:
        return _STATES[kind].get(str(_state(after)), str(_state(after)))
    if before is None:
        return "created" if operation.endswith(_MADE) else "nothing"
    old, new = _state(before), _state(after)
    if new != old and new is not None:
        return _STATES[kind].get(new, new)
    if kind == "account" and after.get("workspace_id") != before.get("workspace_id"):
        return "moved"
    return "unchanged" if operation == "domain.verify" else "updated"


def _state(payload: Payload) -> str | None:
    state = payload.get("status") or payload.get("state")
    return str(state) if state is not None else None
