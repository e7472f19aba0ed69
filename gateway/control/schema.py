"""All tables of the control database in one place: importing a room's model adds its tables."""

from __future__ import annotations

from importlib import import_module

import sqlalchemy as sa

from gateway.control.base import Base

_ROOMS = (
    "accounts",
    "apikeys",
    "audit",
    "credentials",
    "domains",
    "installation",
    "keys",
    "lists",
    "plans",
    "policies",
    "raises",
    "shards",
    "sources",
    "tenants",
    "webhooks",
    "workspaces",
)


def metadata() -> sa.MetaData:
    """The metadata with every table that the migrations must make."""
    for room in _ROOMS:
        import_module(f"gateway.control.{room}.model")
    import_module("gateway.control.conditions")
    return Base.metadata
