"""When a delivery is tried again, and how it is signed."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.outgoing.webhooks.schedule import SPREAD, STEPS_SECONDS, next_attempt
from gateway.outgoing.webhooks.signature import signed_fields

MINUTES = [1, 2, 4, 7.5, 15, 30, 60, 120, 240, 480, 960]


def test_the_waits_are_those_of_the_documentation() -> None:
    assert [next_attempt(n, 0.0, lambda: 0.0) for n in range(1, 12)] == [60 * m for m in MINUTES]
    assert next_attempt(12, 0.0, lambda: 0.0) is None


@given(attempts=st.integers(1, 11), chance=st.floats(0, 1, exclude_max=True), now=st.floats(0, 4e9))
def test_the_spread_is_small_and_later_only(attempts: int, chance: float, now: float) -> None:
    at = next_attempt(attempts, now, lambda: chance)
    wait = STEPS_SECONDS[attempts - 1]
    assert at is not None
    assert now + wait <= at <= now + wait * (1 + SPREAD)


def text_of(secret: bytes) -> str:
    return "whsec_" + base64.b64encode(secret).decode()


@given(secret=st.binary(min_size=24, max_size=64), value=st.text())
def test_an_independent_verifier_accepts_the_signature(secret: bytes, value: str) -> None:
    body = json.dumps(value).encode()
    fields = signed_fields([secret], "control-7", time.time(), body)
    assert Webhook(text_of(secret)).verify(body, fields) == value


def test_both_secrets_sign_while_one_follows_the_other() -> None:
    old, new, other = b"o" * 32, b"n" * 32, b"x" * 32
    fields = signed_fields([new, old], "location:default-1", time.time(), b"{}")
    assert fields["webhook-signature"].count("v1,") == 2
    for secret in (old, new):
        assert Webhook(text_of(secret)).verify(b"{}", fields) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(text_of(other)).verify(b"{}", fields)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_id_and_time_are_signed_too(name: str) -> None:
    now = time.time()
    fields = signed_fields([b"s" * 32], "control-7", now, b"{}")
    fields[name] = "control-8" if name == "webhook-id" else str(int(now) - 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(text_of(b"s" * 32)).verify(b"{}", fields)
