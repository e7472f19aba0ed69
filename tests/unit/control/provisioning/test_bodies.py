"""What a file is refused for is what the API refuses: no row that passes here ends as a mistake of the call."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.control.provisioning.bodies import mistakes
from gateway.faces.api.routes.provisioning import Provision

VALUES: tuple[Any, ...] = (
    *("", " ", "bob", "x" * 100, "x" * 101, "x" * 200, "x" * 201, "x" * 1000, "x" * 1001, "\ud800"),
    *("production", "prod", None, 5, 1.5, [], ["a", "b"], ["x" * 1001], [None], {}, {"a": "b"}, {"a": 5}),
    *({"": "b"}, {"x" * 201: "b"}, {"a": "x" * 1001}, {str(n): "" for n in range(51)}, True, False),
)
PLACES = (
    *("tenant", "tenant.name", "tenant.plan", "tenant.client_id", "tenant.contacts", "tenant.metadata"),
    *("account", "account.local_part", "account.display_name", "account.client_id", "account.metadata"),
    *("protocols", "protocols.smtp", "protocols.imap", "app_password"),
    *("environment", "domain", "workspace", "colour", "tenant.colour", "account.colour", "protocols.colour"),
)


def body_with(changes: dict[str, Any]) -> dict[str, Any]:
    """A request with other values in some places."""
    body: dict[str, Any] = {
        "tenant": {"name": "A"},
        "account": {"local_part": "b"},
        "protocols": {"smtp": True},
    }
    for place, value in changes.items():
        name, dot, rest = place.partition(".")
        if not dot:
            body[name] = value
        elif isinstance(body.get(name), dict):
            body[name] = body[name] | {rest: value}
    return body


def is_taken_by_the_api(body: dict[str, Any]) -> bool:
    """Whether the body has the shape that the API wants."""
    try:
        Provision.model_validate(body)
    except ValidationError:
        return False
    return True


def assert_both_agree(body: dict[str, Any]) -> None:
    # A password that no protocol takes is refused by the service, not by the shape.
    wrong = [key for key, message in mistakes(body) if "needs a protocol" not in message]
    assert (not wrong) == is_taken_by_the_api(body), wrong


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:12])
def test_a_file_is_refused_for_what_the_api_refuses(place: str, value: Any) -> None:
    assert_both_agree(body_with({place: value}))


@given(st.dictionaries(st.sampled_from(PLACES), st.sampled_from(VALUES)))
def test_many_mistakes_at_once(changes: dict[str, Any]) -> None:
    assert_both_agree(body_with(changes))


def test_what_is_no_object_is_told() -> None:
    assert list(mistakes([])) == [("", "an object is expected")]
