"""What an app password may be made with."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control.credentials.terms import Terms, check_chosen, check_room, checked_terms
from gateway.control.errors import Conflict, Invalid, ServiceError


def terms(**asked: Any) -> Terms:
    plain: dict[str, Any] = {
        "address": "anna@example.com",
        "on": frozenset({"smtp"}),
        "scopes": (),
        "label": None,
        "expires_at": None,
        "networks": (),
        "stream": None,
        "now": 100.0,
    }
    return checked_terms(**(plain | asked))


def test_no_scope_means_every_protocol_switched_on() -> None:
    assert terms().scopes == {"smtp"}
    assert terms(on=frozenset({"smtp", "imap"})).scopes == {"smtp", "imap"}
    assert terms(scopes=["imap"]).scopes == {"imap"}
    with pytest.raises(Conflict, match="No protocol"):
        terms(on=frozenset())


def test_everything_is_brought_into_normal_form() -> None:
    assert terms(
        label="  the printer ",
        expires_at=200,
        networks=["192.0.2.7", "2001:DB8::/32", "192.0.2.7/32"],
        stream="transactional",
    ) == Terms(frozenset({"smtp"}), "the printer", 200, ("192.0.2.7/32", "2001:db8::/32"), "transactional")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"scopes": ["pop3"]}, "unknown-scope"),
        ({"label": "x" * 101}, "label-refused"),
        ({"label": "two\nlines"}, "label-refused"),
        ({"expires_at": 100.0}, "expiry-passed"),
        ({"expires_at": float("nan")}, "expiry-passed"),
        ({"expires_at": 253_402_300_800.0}, "bad-time"),
        ({"networks": ["192.0.2.1/24"]}, "network-refused"),
        ({"networks": ["example.com"]}, "network-refused"),
        ({"networks": [f"10.0.0.{n}" for n in range(21)]}, "too-many-networks"),
        ({"stream": "No Stream"}, "stream-refused"),
    ],
)
def test_each_mistake_is_named_with_its_way_out(asked: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        terms(**asked)
    assert caught.value.code == code
    assert caught.value.fix


def test_a_refused_chosen_password_is_not_repeated_in_the_error() -> None:
    with pytest.raises(Invalid) as caught:
        check_chosen("my-Secret-pass-1ö")
    assert "Secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("live", "live_chosen", "chosen", "code"),
    [
        (50, 0, False, "too-many-app-passwords"),
        (49, 4, True, "too-many-chosen-app-passwords"),
        (49, 4, False, None),
        (49, 3, True, None),
    ],
)
def test_how_many_an_account_may_have(live: int, live_chosen: int, chosen: bool, code: str | None) -> None:
    try:
        check_room("anna@example.com", live, live_chosen, chosen=chosen)
        found = None
    except ServiceError as error:
        found = error.code
    assert found == code
