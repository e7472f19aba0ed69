"""A control plane with one tenant, on both dialects."""

from __future__ import annotations

import pytest

from gateway.system.database import Database
from tests.integration.control.directory.world import World


@pytest.fixture
def world(control_database: Database) -> World:
    """A control plane with a plan in it."""
    return World(control_database)
