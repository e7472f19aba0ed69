"""A provisioned customer as its programs meet it: it sends at once, and goes on when its domain is proved."""

import smtplib
from collections.abc import Iterator

import pytest

from gateway.app.desk import OpenedDesk
from gateway.control.provisioning.values import AccountRequest, Provisioned, ProvisionRequest, TenantRequest
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.system.config import load
from tests.support.gateway import Gateway, plain_message, submit

OPERATOR = Actor(kind="cli", id="tester")


@pytest.fixture(scope="module")
def services(gateway: Gateway) -> Iterator[ControlServices]:
    desk = OpenedDesk(load(gateway.folder / "gatepost.toml", {}))
    yield desk.services
    desk.close()


def provision(services: ControlServices, name: str, domain: str | None = None) -> Provisioned:
    """A new customer with one account that may send."""
    request = ProvisionRequest(
        TenantRequest(name), AccountRequest("bob"), domain=domain, smtp=True, app_password=True
    )
    return services.provisioning.provision(OPERATOR, request)


def test_a_new_customer_sends_at_once_signed_through_its_own_shard(
    gateway: Gateway, services: ControlServices
) -> None:
    made = provision(services, "Prompt")
    assert made.shard is not None
    assert made.app_password is not None
    gateway.obeyed()
    with gateway.smtp(made.login, made.app_password) as client:
        message_id = submit(client, plain_message(made.address), ("x@example.org",), made.address)
    captured = gateway.captured(message_id)
    assert f"d={made.domain.name}".encode() in captured
    assert f"@{made.shard.name}".encode() in captured


def test_an_open_session_gains_the_customers_own_address(gateway: Gateway, services: ControlServices) -> None:
    made = provision(services, "Patient", "patient.example")
    assert made.pending_address == "bob@patient.example"
    assert made.app_password is not None
    old, new = made.address, made.pending_address
    gateway.obeyed()
    with gateway.smtp(made.login, made.app_password) as client:
        submit(client, plain_message(old), ("x@example.org",), old)
        with pytest.raises(smtplib.SMTPException):
            submit(client, plain_message(new), ("x@example.org",), new)
        client.rset()
        services.domains.mark_verified(OPERATOR, "patient.example", "told on the phone")
        gateway.obeyed()
        message_id = submit(client, plain_message(new), ("x@example.org",), new)
        submit(client, plain_message(old), ("x@example.org",), old)
    captured = gateway.captured(message_id)
    assert b"d=patient.example" in captured
    assert b"@s1.mail.patient.example" in captured
    for login in (old, new, made.grant_id):
        with gateway.smtp(login, made.app_password) as client:
            submit(client, plain_message(new), ("x@example.org",), new)
