"""How a login is compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.directory import login_name
from gateway.control.directory.model import is_grant_id

GRANT = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.mark.parametrize(
    ("login", "name"),
    [
        ("anna@example.com", "anna@example.com"),
        ("Anna@EXAMPLE.com", "anna@example.com"),
        ('"anna"@example.com', "anna@example.com"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("ANNA@xn--BCHER-kva.example", "anna@xn--bcher-kva.example"),
        (GRANT.upper(), GRANT),
        ("no address@ at all", "no address@ at all"),
        ("Nobody", "nobody"),
        ("", ""),
    ],
)
def test_logins_are_compared_without_case(login: str, name: str) -> None:
    assert login_name(login) == name
    assert login_name(name) == name


@given(st.text())
def test_any_login_has_a_form_that_a_database_takes(login: str) -> None:
    name = login_name(login)
    assert "\0" not in name
    name.encode()


def test_a_login_is_cut() -> None:
    assert len(login_name("x" * 10_000)) == 320


def test_grant_ids() -> None:
    assert is_grant_id(GRANT)
    assert not is_grant_id(GRANT[:-1])
    assert not is_grant_id(GRANT + "\n")
