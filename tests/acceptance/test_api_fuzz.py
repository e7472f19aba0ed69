"""Whatever is sent to whatever operation: no 500, and no reply that the description does not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.gateway import Gateway

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
NO_RESOLVER = '\n[dns]\nservers = ["127.0.0.1:9"]\n'


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description as a served gateway gives it."""
    gateway = Gateway(tmp_path_factory.mktemp("fuzzed"), settings=NO_RESOLVER)
    with gateway.running():
        found = schemathesis.openapi.from_url(f"{gateway.state['api']['url']}/openapi.json")
        found.config.update(headers={"Authorization": f"Bearer {gateway.state['api']['key']}"})
        yield found


def stay_at_home(case: schemathesis.Case) -> None:
    """Nothing that is made up here leads away from this machine."""
    if isinstance(case.body, dict):
        for name, harmless in (("url", "https://127.0.0.1:9/"), ("route", "capture:")):
            if name in case.body:
                case.body[name] = harmless


schema = schemathesis.pytest.from_fixture("description")


@schema.parametrize()
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@pytest.mark.timeout(600)
def test_nothing_that_is_sent_breaks_the_api(case: schemathesis.Case) -> None:
    stay_at_home(case)
    response = case.call()
    case.validate_response(response, checks=CHECKS)
