"""Looks for callers of the API, made in the loop of the watch: they end, whatever DNS does."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from gateway.app.watching import Watching
from gateway.control.domains.model import DomainRow
from gateway.control.domains.watch.subjects import subject_of
from gateway.control.domains.watch.values import Memory, Subject
from gateway.control.errors import Unavailable
from gateway.system.config import DnsConfig, Endpoint
from tests.support.control import OPERATOR
from tests.support.installation import Installation


@pytest.fixture
def subject(installation: Installation) -> Subject:
    """A claim, whose look takes time."""
    services = installation.services
    domain = services.domains.add(OPERATOR, "slow.test", tenant="acme")
    with services.writes.view() as session:
        return subject_of(session, session.get_one(DomainRow, domain.id), services.settings)


async def test_a_caller_waits_no_longer_than_is_right_and_the_look_ends_with_it(
    installation: Installation, subject: Subject
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        dns = DnsConfig(servers=(Endpoint("{}:{}".format(*silent.getsockname())),))
        ground = replace(installation.ground, config=replace(installation.ground.config, dns=dns))
        watching = Watching(ground, longest_wait=0.1)
        try:
            with pytest.raises(Unavailable) as refusal:
                await asyncio.to_thread(
                    watching.sight.examine, subject, Memory(subject.domain_id, subject.tenant_id)
                )
            looks = [task for task in asyncio.all_tasks() if "examine" in repr(task.get_coro())]
            await asyncio.gather(*looks, return_exceptions=True)
        finally:
            await watching.close()
    assert (refusal.value.code, "slow.test" in refusal.value.detail) == ("dns-too-slow", True)
    assert all(look.cancelled() for look in looks)
