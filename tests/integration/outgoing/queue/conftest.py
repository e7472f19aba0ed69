"""Fixtures of the queue's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.system.database import Database
from tests.support.databases import PostgresqlServer, Templates


@pytest.fixture
def sqlite_location(tmp_path: Path, database_templates: Templates) -> Iterator[Database]:
    """A location's database on SQLite, for what only SQLite does."""
    url = database_templates.sqlite("location", tmp_path / "location.db")
    with Database.open(url, purpose="default") as database:
        yield database


@pytest.fixture
def postgresql_location(
    database_templates: Templates, postgresql_server: PostgresqlServer
) -> Iterator[Database]:
    """A location's database on PostgreSQL, for what only PostgreSQL does."""
    url = database_templates.postgresql("location")
    with Database.open(url, purpose="default") as database:
        yield database
    postgresql_server.drop(url)
