"""What an app password may be made with."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control.credentials.terms import Terms, check_chosen, check_room, checked_terms
from gateway.control.errors import Conflict, Invalid, ServiceError
from gateway.control.records import AccountRecord


def account(*, smtp: bool = True, imap: bool = False) -> AccountRecord:
    return AccountRecord(
        id="a",
        tenant_id="t",
        workspace_id="w",
        address="anna@example.com",
        aliases=(),
        display_name=None,
        status="active",
        smtp=smtp,
        imap=imap,
        epoch=1,
        home_location="default",
        created_at=0.0,
    )


def terms(who: AccountRecord | None = None, **asked: Any) -> Terms:
    plain: dict[str, Any] = {
        "scopes": (),
        "label": None,
        "expires_at": None,
        "networks": (),
        "stream": None,
        "now": 100.0,
    }
    return checked_terms(who or account(), **(plain | asked))


def test_no_scope_means_every_protocol_switched_on() -> None:
    assert terms().scopes == {"smtp"}
    assert terms(account(imap=True)).scopes == {"smtp", "imap"}
    assert terms(account(), scopes=["imap"]).scopes == {"imap"}
    with pytest.raises(Conflict, match="No protocol"):
        terms(account(smtp=False))


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
        ({"scopes": ["pop3"]}, "unknown_scope"),
        ({"label": "x" * 101}, "label_refused"),
        ({"label": "two\nlines"}, "label_refused"),
        ({"expires_at": 100.0}, "expiry_passed"),
        ({"expires_at": float("nan")}, "expiry_passed"),
        ({"networks": ["192.0.2.1/24"]}, "network_refused"),
        ({"networks": ["example.com"]}, "network_refused"),
        ({"networks": [f"10.0.0.{n}" for n in range(21)]}, "too_many_networks"),
        ({"stream": "No Stream"}, "stream_refused"),
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
        (50, 0, False, "too_many_app_passwords"),
        (49, 4, True, "too_many_chosen_app_passwords"),
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
