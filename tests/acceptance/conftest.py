"""A running gateway for acceptance tests, shared within a module: tests make their own tenants."""

from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("gateway") / "var").start()
    yield running
    if running.process is not None:
        assert running.stop() == 0
