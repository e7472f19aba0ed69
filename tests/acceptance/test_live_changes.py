"""A change of the control plane bites an open session within a second, in every process."""

import smtplib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.gateway import OBEYED_SECONDS, Gateway, plain_message, submit


def make_account(gateway: Gateway, name: str) -> tuple[str, str, str]:
    """A fresh account of the demo tenant with an app password: address, password, id of the password."""
    address = f"{name}@{gateway.state['domain']}"
    gateway.cli("account", "create", address, "--tenant", gateway.tenant_id, "--smtp")
    made = gateway.cli("app-password", "create", address)
    return address, made["app_password"], made["id"]


def old_state_lasted(change: Callable[[], object], is_obeyed: Callable[[], bool]) -> float:
    """Seconds from the end of `change` to the begin of the last attempt that still met what was before."""
    change()
    began, last = time.monotonic(), 0.0
    while (tried := time.monotonic()) < began + 30:
        if is_obeyed():
            return last
        last = tried - began
        time.sleep(0.02)
    raise AssertionError("the change is not obeyed after 30 s")


def refusal(client: smtplib.SMTP, address: str, content: bytes | None = None) -> int | None:
    """The code that one more message is refused with, or that ended the session."""
    try:
        submit(client, content or plain_message(address), ("x@example.org",), address)
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code
    except smtplib.SMTPServerDisconnected:
        return 421
    return None


CHANGES: dict[str, Callable[[Gateway, str, str], object]] = {
    "password revoked": lambda g, address, key: g.cli("app-password", "revoke", key),
    "switch off": lambda g, address, key: g.cli("account", "update", address, "--no-smtp"),
    "account suspended": lambda g, address, key: g.cli("account", "update", address, "--suspend"),
    "account deleted": lambda g, address, key: g.cli("account", "delete", address, "--yes"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_open_session_is_refused_within_a_second(gateway: Gateway, name: str) -> None:
    address, password, key = make_account(gateway, "live-" + name.replace(" ", "-"))
    with gateway.smtp(address, password) as client:
        assert refusal(client, address) is None
        assert (
            old_state_lasted(
                lambda: CHANGES[name](gateway, address, key),
                lambda: refusal(client, address) in (421, 535, 550, 530),
            )
            < OBEYED_SECONDS
        )
    with pytest.raises(smtplib.SMTPAuthenticationError), gateway.smtp(address, password):
        pass


def test_a_changed_policy_bites_an_open_session(gateway: Gateway, tmp_path) -> None:
    document = tmp_path / "narrow.toml"
    document.write_text('extends = "default"\n[limits]\nmessage_bytes = "1 MiB"\n')
    gateway.cli("policy", "apply", str(document))
    gateway.cli("workspace", "create", "narrow", "--tenant", gateway.tenant_id, "--policy", "narrow")
    address, password, _ = make_account(gateway, "live-policy")
    gateway.cli("account", "update", address, "--workspace", "narrow")

    def change() -> None:
        document.write_text(
            'extends = "default"\n[limits]\nrecipients_per_message = 1\nmessage_bytes = "1 KiB"\n'
        )
        gateway.cli("policy", "apply", str(document))

    big = plain_message(address, body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 50)
    with gateway.smtp(address, password) as client:
        assert refusal(client, address, big) is None
        assert old_state_lasted(change, lambda: refusal(client, address, big) == 552) < OBEYED_SECONDS


def test_a_raised_limit_lets_an_open_session_go_on(gateway: Gateway, tmp_path) -> None:
    document = tmp_path / "one-a-day.toml"
    document.write_text('extends = "default"\n[limits.account]\nmessages_per_day = 1\n')
    gateway.cli("policy", "apply", str(document))
    gateway.cli("workspace", "create", "one", "--tenant", gateway.tenant_id, "--policy", "one-a-day")
    address, password, _ = make_account(gateway, "live-raise")
    gateway.cli("account", "update", address, "--workspace", "one")
    until = datetime.now(UTC) + timedelta(hours=1)
    with gateway.smtp(address, password) as client:
        assert refusal(client, address) is None
        assert refusal(client, address) == 452
        raised = ("limit", "raise", address, "daily=2", "--until", until.isoformat(), "--reason", "launch")
        assert (
            old_state_lasted(lambda: gateway.cli(*raised), lambda: refusal(client, address) is None)
            < OBEYED_SECONDS
        )
        with pytest.raises(smtplib.SMTPResponseException, match="daily limit of 2 messages"):
            submit(client, plain_message(address), ("x@example.org",), address)


def test_a_suspended_tenant_and_its_return(gateway: Gateway) -> None:
    tenant = gateway.cli("tenant", "create", "Live Suspended")
    domain = next(d["name"] for d in gateway.cli("domain", "list") if d["tenant_id"] == tenant["id"])
    address = f"a@{domain}"
    gateway.cli("account", "create", address, "--tenant", tenant["id"], "--smtp")
    password = gateway.cli("app-password", "create", address)["app_password"]
    with gateway.smtp(address, password) as client:
        assert refusal(client, address) is None
        assert (
            old_state_lasted(
                lambda: gateway.cli("tenant", "suspend", tenant["id"]),
                lambda: refusal(client, address) is not None,
            )
            < OBEYED_SECONDS
        )
    gateway.cli("tenant", "resume", tenant["id"])
    gateway.obeyed()
    with gateway.smtp(address, password) as client:
        assert submit(client, plain_message(address), ("x@example.org",), address)


def test_a_paused_shard_keeps_mail_and_resumes(gateway: Gateway) -> None:
    tenant = gateway.cli("tenant", "create", "Live Paused")
    domain = next(d["name"] for d in gateway.cli("domain", "list") if d["tenant_id"] == tenant["id"])
    shard = next(s["name"] for s in gateway.cli("shard", "list") if s["tenant_id"] == tenant["id"])
    address = f"a@{domain}"
    gateway.cli("account", "create", address, "--tenant", tenant["id"], "--smtp")
    password = gateway.cli("app-password", "create", address)["app_password"]
    gateway.cli("shard", "pause", shard)
    gateway.obeyed()
    with gateway.smtp(address, password) as client:
        message_id = submit(client, plain_message(address), ("x@example.org",), address)
    time.sleep(1.5)
    assert [row["state"] for row in gateway.cli("queue", "list", "--tenant", tenant["id"])] == ["waiting"]
    gateway.cli("shard", "resume", shard)
    gateway.captured(message_id)
