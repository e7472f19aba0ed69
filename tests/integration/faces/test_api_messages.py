"""Sending and finding messages over the API: JSON or as they are, through the door that SMTP goes through."""

from __future__ import annotations

import base64
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from gateway.control.accounts.view import AccountView
from gateway.outgoing.queue import tables
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR

RAW = b"From: app@acme.test\r\nTo: b@example.net\r\nSubject: raw\r\n\r\nhello\r\n"
PLAIN = {"to": ["b@example.net"], "subject": "hello", "text": "Hello!"}


@pytest.fixture
def account(api: ApiWorld) -> AccountView:
    """An account of Acme with both protocols off; Other is there too."""
    for name in ("Acme", "Other"):
        api.services.tenants.create(OPERATOR, name)
    api.services.domains.add(OPERATOR, "acme.test", tenant="Acme")
    api.services.domains.mark_verified(OPERATOR, "acme.test", "test")
    return api.services.accounts.create(OPERATOR, "app@acme.test", tenant="Acme")


def path(account: AccountView) -> str:
    return f"/v1/accounts/{account.id}/messages"


def stored(api: ApiWorld) -> EmailMessage:
    """The only message there is, as it will leave."""
    (row,) = api.installation.rows(tables.message_body)
    message = message_from_bytes(row.content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def raw(api: ApiWorld, account: AccountView, query: str = "", kind: str = "message/rfc822") -> Any:
    headers = {"Authorization": f"Bearer {api.operator_key}", "Content-Type": kind}
    return api.send("POST", path(account) + query, content=RAW, headers=headers)


def test_a_message_is_composed_queued_and_found(api: ApiWorld, account: AccountView) -> None:
    file = {"name": "a.txt", "type": "text/plain", "content": base64.b64encode(b"file").decode()}
    body = {
        **PLAIN,
        "to": ["Bob <b@example.net>", {"address": "c@example.net", "name": "Carol"}],
        "html": "<p>Hello!</p>",
        "attachments": [file],
        "headers": {"X-Order": "7"},
        "tags": ["order"],
        "metadata": {"order": "7"},
    }
    reply = api.call("POST", path(account), body)
    assert reply.status_code == 202, reply.text
    sent = reply.json()
    assert (sent["state"], sent["release_at"], sent["account_id"]) == ("queued", None, account.id)
    message = stored(api)
    assert (message["X-Order"], message["From"]) == ("7", "app@acme.test")
    assert [part.get_filename() for part in message.iter_attachments()] == ["a.txt"]
    found = api.done("GET", "/v1/messages?account=app@acme.test&recipient=c@example.net")["items"]
    assert [(row["id"], row["tags"], row["origin"]) for row in found] == [(sent["id"], ["order"], "api")]
    shown = api.done("GET", f"/v1/messages/{sent['id']}")
    assert [row["recipient"] for row in shown["recipients"]] == ["b@example.net", "c@example.net"]
    assert shown["events"][0]["kind"] == "accepted"


def test_a_raw_message_goes_as_it_is_to_those_it_names_or_to_others(
    api: ApiWorld, account: AccountView
) -> None:
    assert raw(api, account).status_code == 202
    assert raw(api, account, "?recipient=c@example.net&recipient=d@example.net&tag=x").status_code == 202
    found = api.done("GET", "/v1/queue")["items"]
    assert {row["recipient"] for row in found} == {"b@example.net", "c@example.net", "d@example.net"}


def test_the_same_key_sends_once(api: ApiWorld, account: AccountView) -> None:
    headers = {"Idempotency-Key": "order-7"}
    first = api.call("POST", path(account), PLAIN, headers=headers)
    again = api.call("POST", path(account), PLAIN, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["idempotency-replayed"] == "true"
    assert len(api.done("GET", "/v1/queue")["items"]) == 1
    other = {**PLAIN, "text": "Other"}
    assert api.call("POST", path(account), other, headers=headers).status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({**PLAIN, "to": ["nobody"]}, 422),
        ({**PLAIN, "colour": "red"}, 422),
        ({**PLAIN, "attachments": [{"name": "a", "content": "%"}]}, 422),
        ({**PLAIN, "from": "boss@other.test"}, 403),
        ({**PLAIN, "send_at": "2099-01-01T00:00:00Z"}, 422),
        ("text", 422),
        ([], 422),
    ],
)
def test_a_message_that_cannot_be_sent_is_a_clear_refusal(
    api: ApiWorld, account: AccountView, body: Any, status: int
) -> None:
    assert api.refused("POST", path(account), body)[0] == status
    assert api.done("GET", "/v1/queue")["items"] == []


def test_an_unknown_field_is_named(api: ApiWorld, account: AccountView) -> None:
    reply = api.call("POST", path(account), {**PLAIN, "colour": "red"})
    assert reply.json()["detail"] == "colour: there is no such field"


def test_other_kinds_of_bodies_and_mixed_forms_are_refused(api: ApiWorld, account: AccountView) -> None:
    assert raw(api, account, kind="text/plain").status_code == 415
    assert api.refused("POST", path(account) + "?tag=x", PLAIN) == (422, "bad-parameter")


def test_a_scheduled_message_says_when_it_leaves(api: ApiWorld, account: AccountView) -> None:
    at = "2027-01-15T09:00:00Z"
    sent = api.done("POST", path(account), {**PLAIN, "send_at": at})
    assert (sent["state"], sent["release_at"]) == ("scheduled", at)


def test_sending_needs_its_right_and_ones_own_account(api: ApiWorld, account: AccountView) -> None:
    assert api.refused("POST", path(account), PLAIN, key=api.key("read", "write")) == (403, "right-missing")
    assert api.refused("POST", path(account), PLAIN, key=api.key("send", tenant="Other"))[0] == 404
    staging = api.key("send", tenant="Acme", environment="staging")
    assert api.refused("POST", path(account), PLAIN, key=staging)[0] == 404
    assert api.call("POST", path(account), PLAIN, key=api.key("send", tenant="Acme")).status_code == 202


def test_a_used_up_quota_says_when_to_come_again(api: ApiWorld, account: AccountView) -> None:
    api.installation.policy("[limits.account]\nmessages_per_day = 1\n")
    assert api.call("POST", path(account), PLAIN).status_code == 202
    reply = api.call("POST", path(account), PLAIN)
    assert (reply.status_code, reply.json()["code"]) == (429, "quota-exceeded")
    assert int(reply.headers["retry-after"]) >= 1
