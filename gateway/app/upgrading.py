"""Bringing an installation's databases up to date, and what only its keys can do after that."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any

from gateway.control.audit.adoption import seal_found_head
from gateway.control.installation.service import AUDIT, Installation
from gateway.system.clock import SystemClock
from gateway.system.config import Config
from gateway.system.database import Database, schema_state, upgrade
from gateway.system.database.schema import Mode, Which
from gateway.system.secrets import MasterKey

_SEALED_SINCE: Mapping[Which, int] = MappingProxyType({"control": 3, "location": 2})
"""The schemas whose heads of the audit have seals."""


def upgraded(databases: Mapping[Database, Which], mode: Mode) -> dict[Database, Which]:
    """Bring schemas up to date; those that were there and had no seals before. Raises what `upgrade` does."""
    unsealed = {}
    for database, which in databases.items():
        before = schema_state(database, which).version
        upgrade(database, which, mode)
        if 0 < before < _SEALED_SINCE[which]:
            unsealed[database] = which
    return unsealed


def seal_heads(unsealed: Mapping[Database, Which], installation: Installation) -> None:
    """Seal the heads of the audit in those databases as they are. Raises DatabaseAway."""
    for database, which in unsealed.items():
        seal_found_head(database, which, installation.durable_key(AUDIT))


def upgrade_all(config: Config) -> list[dict[str, Any]]:
    """Bring every database of an installation up to date; before and after of each.

    Raises DatabaseAway, SchemaError, and SecretError where heads of the audit are to be sealed.
    """
    with ExitStack() as stack:
        control = stack.enter_context(Database.open(config.control.url, purpose="control"))
        databases: dict[Database, Which] = {control: "control"}
        for name, location in config.locations.items():
            databases[stack.enter_context(Database.open(location.url, purpose=name))] = "location"
        before = {database: schema_state(database, which).version for database, which in databases.items()}
        unsealed = upgraded(databases, "auto")
        if unsealed:
            key = MasterKey.load(config.master_key_file)
            seal_heads(unsealed, Installation.open(control, key, SystemClock()))
        return [
            {
                "database": database.purpose,
                "before": before[database],
                "after": schema_state(database, which).version,
            }
            for database, which in databases.items()
        ]
