"""Passwords that were right a moment ago."""

from __future__ import annotations

from gateway.control.credentials.verified import VerifiedPasswords
from gateway.system.clock import ManualClock


def test_a_verification_is_remembered_for_300_seconds() -> None:
    clock = ManualClock()
    verified = VerifiedPasswords(clock)
    mark = verified.mark("account", b"password")
    assert verified.credential_of(mark) is None
    verified.remember(mark, "account", "credential")
    clock.advance(299.9)
    assert verified.credential_of(mark) == "credential"
    clock.advance(0.2)
    assert verified.credential_of(mark) is None
    assert len(verified) == 0


def test_marks_differ_by_account_password_and_process() -> None:
    verified = VerifiedPasswords(ManualClock())
    marks = {
        verified.mark("a", b"password"),
        verified.mark("b", b"password"),
        verified.mark("a", b"Password"),
        VerifiedPasswords(ManualClock()).mark("a", b"password"),
    }
    assert len(marks) == 4


def test_a_changed_account_is_forgotten_and_no_other() -> None:
    verified = VerifiedPasswords(ManualClock())
    for account in ("a", "b"):
        for password in (b"1", b"2"):
            verified.remember(verified.mark(account, password), account, "credential")
    verified.forget_account("a")
    verified.forget_account("unknown")
    assert len(verified) == 2
    assert verified.credential_of(verified.mark("a", b"1")) is None
    assert verified.credential_of(verified.mark("b", b"1")) == "credential"
    verified.clear()
    assert len(verified) == 0


def test_memory_is_bounded_and_the_oldest_goes() -> None:
    verified = VerifiedPasswords(ManualClock(), most=3)
    for n in range(5):
        verified.remember(verified.mark("a", b"%d" % n), "a", f"credential-{n}")
    assert len(verified) == 3
    assert verified.credential_of(verified.mark("a", b"1")) is None
    assert verified.credential_of(verified.mark("a", b"4")) == "credential-4"
    verified.forget_account("a")
    assert len(verified) == 0
