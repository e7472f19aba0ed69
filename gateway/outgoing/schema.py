"""All tables of a location's database in one place: importing a room's tables adds them."""

from __future__ import annotations

from importlib import import_module

import sqlalchemy as sa

from gateway.outgoing.queue.tables import metadata as _metadata

_ROOMS = ("follower", "notices.tables", "webhooks.tables")
_CONTROL_ROOMS = ("domains.publishing.tables", "domains.watch.tables")
"""Rooms of the control plane that keep what is observed here, each in a metadata of its own."""


def metadata() -> sa.MetaData:
    """The metadata with every table that the migrations must make."""
    for room in _ROOMS:
        import_module(f"gateway.outgoing.{room}")
    for room in _CONTROL_ROOMS:
        for table in import_module(f"gateway.control.{room}").metadata.sorted_tables:
            if table.name not in _metadata.tables:
                table.to_metadata(_metadata)
    return _metadata
