"""Fixtures of the audit's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.control.audit.trail import AuditTrail
from gateway.control.services import ControlServices
from gateway.system.database import Database
from tests.support.databases import MakeUrl


@pytest.fixture
def locations(make_database_url: MakeUrl) -> Iterator[dict[str, Database]]:
    """Two locations without rows."""
    urls = {name: make_database_url(name, "location") for name in ("default", "eu")}
    databases = {name: Database.open(url, purpose=name) for name, url in urls.items()}
    yield databases
    for database in databases.values():
        database.close()


@pytest.fixture
def trail(control_services: ControlServices, locations: dict[str, Database]) -> AuditTrail:
    """The audit of an installation with two locations."""
    key = control_services.installation.durable_key("audit")
    return AuditTrail(control_services.writes.database, locations, key)
