"""All tables of a location's database in one place: importing a room's tables adds them."""

from __future__ import annotations

from importlib import import_module

import sqlalchemy as sa

from gateway.outgoing.queue.tables import metadata as _metadata

_ROOMS = ("follower", "notices.tables", "webhooks.tables")


def metadata() -> sa.MetaData:
    """The metadata with every table that the migrations must make."""
    for room in _ROOMS:
        import_module(f"gateway.outgoing.{room}")
    return _metadata
