"""The bounded memory of accounts and logins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from gateway.control.directory.accounts import AccountCache, AccountEntry


def entry(account_id: str) -> AccountEntry:
    return AccountEntry(cast(Any, SimpleNamespace(id=account_id)), ())


def test_the_least_recently_used_goes_with_its_logins() -> None:
    cache = AccountCache(2)
    for account_id in ("a", "b"):
        assert cache.keep(entry(account_id), 0)
        assert cache.keep_login(f"{account_id}@example.com", account_id, 0)
    assert cache.get("a") is not None
    assert cache.keep(entry("c"), 0)
    assert cache.get("b") is None
    assert cache.login("b@example.com") == (False, None)
    assert cache.login("a@example.com") == (True, "a")
    assert len(cache) == 2


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    cache = AccountCache(10)
    cache.keep(entry("a"), 4)
    cache.forget({"a"}, 5)
    assert cache.get("a") is None
    assert not cache.keep(entry("a"), 4)
    assert not cache.keep_login("a", "a", 4)
    assert cache.get("a") is None
    assert cache.keep(entry("a"), 5)
    assert cache.keep_login("a", "a", 6)


def test_a_change_forgets_the_accounts_logins_and_everybody_unknown() -> None:
    cache = AccountCache(10)
    cache.keep(entry("a"), 0)
    cache.keep_login("a@example.com", "a", 0)
    cache.keep_login("b@example.com", "b", 0)
    cache.keep_login("nobody@example.com", None, 0)
    assert cache.login("nobody@example.com") == (True, None)
    cache.forget(set(), 1)
    assert cache.login("nobody@example.com") == (True, None)
    cache.forget({"a"}, 2)
    assert cache.login("nobody@example.com") == (False, None)
    assert cache.login("a@example.com") == (False, None)
    assert cache.login("b@example.com") == (True, "b")
    cache.clear(3)
    assert cache.login("b@example.com") == (False, None)


def test_made_up_logins_do_not_push_out_real_ones() -> None:
    cache = AccountCache(10)
    cache.keep_login("a@example.com", "a", 0)
    for n in range(10_050):
        cache.keep_login(f"{n}@example.com", None, 0)
    assert cache.login("a@example.com") == (True, "a")
    assert cache.login("0@example.com") == (False, None)
    assert cache.login("10049@example.com") == (True, None)


def test_logins_are_bounded() -> None:
    cache = AccountCache(3)
    for n in range(6):
        cache.keep_login(f"{n}@example.com", "a", 0)
    assert cache.login("2@example.com") == (False, None)
    assert cache.login("5@example.com") == (True, "a")
