"""An account to make app passwords for, on both dialects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.control.credentials.service import CredentialService
from gateway.system.database import Database
from tests.integration.control.directory.world import World

TAG_KEY = b"t" * 32


@dataclass(frozen=True)
class House:
    """A tenant with one account, and the service."""

    world: World
    tenant: Any
    account: Any
    service: CredentialService


@pytest.fixture
def house(control_database: Database) -> House:
    """A tenant `acme` with the account anna@acme.example, SMTP on."""
    world = World(control_database)
    tenant = world.tenant("acme")
    account = world.account(
        tenant, world.domain(tenant.id, "acme.example"), "anna@acme.example", "a@acme.example"
    )
    service = CredentialService(world.writes, tag_key=TAG_KEY, hash_text=lambda text: "hash of " + text[::-1])
    return House(world, tenant, account, service)
