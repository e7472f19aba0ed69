"""Whatever is sent to whatever operation: no 500, and no reply that the description does not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
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
EXAMPLES = 10
NO_RESOLVER = '\n[dns]\nservers = ["127.0.0.1:9"]\n'


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description as a served gateway gives it."""
    gateway = Gateway(tmp_path_factory.mktemp("fuzzed") / "var", settings=NO_RESOLVER)
    gateway.start()
    found = schemathesis.openapi.from_url(f"{gateway.state['api']['url']}/openapi.json")
    headers = {"Authorization": f"Bearer {gateway.state['api']['key']}"}
    found.config.update(headers=headers, request_timeout=120)
    found.config.generation.update(modes=list(schemathesis.GenerationMode))
    yield found
    assert gateway.stop() == 0


def stay_at_home(case: schemathesis.Case) -> None:
    """Nothing that is made up here leads away from this machine."""
    if isinstance(case.body, dict):
        for name, harmless in (("url", "https://127.0.0.1:9/"), ("route", "capture:")):
            if name in case.body:
                case.body[name] = harmless


@pytest.mark.timeout(900)
def test_nothing_that_is_sent_breaks_the_api(description: Any) -> None:
    operations = [
        one for found in description.get_all_operations() if "stream" not in (one := found.ok()).path
    ]
    assert operations
    statuses: set[int] = set()
    broken = [said for one in operations if (said := breaks(one, statuses)) is not None]
    assert not broken, "\n\n".join(broken)
    assert {200, 201, 404, 422} <= statuses, "both what is right and what is wrong was sent"


def breaks(operation: Any, statuses: set[int]) -> str | None:
    """What an operation answers wrongly to some request."""

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def holds(case: schemathesis.Case) -> None:
        stay_at_home(case)
        response = case.call()
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    try:
        holds()
    except FailureGroup as failures:
        return f"{operation.label}: " + "; ".join(str(one) for one in failures.exceptions)
    except AssertionError as failure:
        return f"{operation.label}: {failure}"
    return None
