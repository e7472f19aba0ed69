"""NUL, which PostgreSQL takes in no text: refused in parameters, paths and bodies, so that nothing breaks."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from gateway.control.errors import Invalid
from gateway.control.paging import PageQuery
from tests.integration.faces.test_api_cursors import lists
from tests.integration.faces.test_api_walls import filled, tenant
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR

KEYS = ("a", "", "a'", "a\\", "a%", "[0]", "5", "*", "$.a", "{a", "é", "a.b", "x" * 5_000)


def test_no_list_takes_a_nul_in_a_filters_name_or_word(api: ApiWorld) -> None:
    things = tenant(api, "acme").things
    found = lists(api)
    assert len(found) > 15
    for path, parameters in found:
        words = [one["name"] for one in parameters if one["in"] == "query"]
        pairs = [("metadata.a%00", "x"), ("metadata.a", "x%00"), *((word, "x%00y") for word in words)]
        for name, word in pairs:
            answer = api.refused("GET", f"{filled(path, things)}?{name}={word}")
            assert answer == (422, "nul-character"), f"{path}?{name}={word}"


def test_whatever_else_a_key_of_metadata_has_the_list_answers(api: ApiWorld) -> None:
    things = tenant(api, "acme").things
    for path, parameters in lists(api):
        if not any(one["name"] == "sort" for one in parameters):
            continue
        for key in KEYS:
            reply = api.call("GET", f"{filled(path, things)}?metadata.{quote(key)}=x")
            assert reply.status_code in (200, 422), f"{path} {key!r}: {reply.text[:200]}"
        assert api.refused("GET", f"{filled(path, things)}?metadata.a%22b=x") == (422, "bad-filter")


@pytest.mark.parametrize(
    "path", ["/v1/domains/a%00b", "/v1/accounts/a%00@acme.example", "/v1/tenants/%00", "/v1/audit/%00"]
)
def test_a_path_has_none_either(api: ApiWorld, path: str) -> None:
    assert api.refused("GET", path) == (422, "nul-character")


def test_a_link_with_one_is_a_page_that_is_not_there(api: ApiWorld) -> None:
    assert api.call("GET", "/pages/domains/a%00b").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a\0b"},
        {"name": "Beta", "client_id": "\0"},
        {"name": "Beta", "metadata": {"a": "x\0"}},
        {"name": "Beta", "metadata": {"a\0": "x"}},
    ],
)
def test_nothing_with_a_nul_is_stored(api: ApiWorld, body: dict[str, Any]) -> None:
    assert api.refused("POST", "/v1/tenants", body) == (422, "bad-request")
    assert api.done("GET", "/v1/tenants?metadata.a=x")["items"] == []


def test_a_backslash_before_u0000_is_a_text_like_others(api: ApiWorld) -> None:
    made = api.done("POST", "/v1/tenants", {"name": "Beta", "metadata": {"a": "\\u0000"}})
    assert made["metadata"] == {"a": "\\u0000"}
    assert api.done("GET", f"/v1/tenants?metadata.a={quote(made['metadata']['a'])}")["items"] == [made]


def test_the_services_refuse_it_too(api: ApiWorld) -> None:
    with pytest.raises(Invalid, match="metadata"):
        api.services.tenants.create(OPERATOR, "Beta", metadata={"a": "x\0"})
    for filters in ({"metadata.a\0": "x"}, {"metadata.a": "\0"}, {"client_id": "\0"}):
        with pytest.raises(Invalid, match="NUL"):
            api.services.tenants.page(OPERATOR, PageQuery(filters=filters))
