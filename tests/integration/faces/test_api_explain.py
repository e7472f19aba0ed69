"""What `policy explain` answers where the message would be refused for another reason than its policy."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.outgoing.quota import Charge
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR

ADDRESS = "hello@acme.example"


@pytest.fixture
def acme(api: ApiWorld) -> ApiWorld:
    """Acme with an account that may send."""
    api.services.tenants.create(OPERATOR, "Acme")
    domain = api.services.domains.add(OPERATOR, "acme.example", tenant="Acme")
    api.services.domains.mark_verified(OPERATOR, domain.id, "a test")
    for key in api.services.keys.list(OPERATOR, domain=domain.id):
        if key.state == "pending":
            api.services.keys.activate(OPERATOR, key.id)
    api.services.accounts.create(OPERATOR, ADDRESS, tenant="Acme", smtp=True)
    return api


def explained(api: ApiWorld, **body: Any) -> dict[str, Any]:
    """The answer for the account."""
    told: dict[str, Any] = api.done("POST", f"/v1/accounts/{ADDRESS}/explain", body)
    return told


def refused_by(told: dict[str, Any]) -> list[str]:
    return [step["rule"] for step in told["steps"] if step["outcome"] == "refused"]


def test_a_message_that_nothing_stands_against(acme: ApiWorld) -> None:
    told = explained(acme)
    assert told["reply"].startswith("250 2.0.0 ")
    assert refused_by(told) == []
    assert [step["rule"] for step in told["steps"]][:2] == ["sign-in", "[limits] message_bytes"]
    assert [step["rule"] for step in told["steps"]][-3:] == ["quota", "signing", "shard"]


def test_a_counter_that_is_full(acme: ApiWorld) -> None:
    files = [
        {
            "path": "policies/one.toml",
            "text": 'name = "one"\nextends = "default"\n[limits.account]\nmessages_per_day = 1\n',
        }
    ]
    acme.done("POST", "/v1/declarations/apply", {"files": files})
    acme.done("POST", "/v1/workspaces", {"name": "one", "policy": "one", "tenant": "Acme"})
    acme.done("PATCH", f"/v1/accounts/{ADDRESS}", {"workspace": "one"})
    assert explained(acme)["reply"].startswith("250 ")
    account = acme.services.accounts.show(OPERATOR, ADDRESS).id
    acme.mail(ADDRESS, charges=(Charge("account", account, "messages", "day", 1, 1, "policy one"),))
    told = explained(acme)
    assert told["reply"].startswith("452 4.7.1 daily limit of 1 messages reached for this account; opens at ")
    assert any("1 of 1 messages a day of the account, 1 taken" in line for line in told["charges"])
    assert refused_by(told) == [told["rule"]]


def test_a_message_that_no_installation_takes(acme: ApiWorld) -> None:
    told = explained(acme, size="30 MiB")
    assert told["reply"].startswith("552 5.3.4 the message is larger than 26214400 octets")
    assert told["rule"] == "[limits] message_bytes"


def test_a_domain_without_a_key_that_signs(acme: ApiWorld) -> None:
    for key in acme.services.keys.list(OPERATOR, domain="acme.example"):
        acme.services.keys.revoke(OPERATOR, key.id)
    told = explained(acme)
    assert told["reply"].startswith("451 4.7.0 cannot sign for acme.example just now")
    assert (told["rule"], told["selectors"]) == ("signing", [])


def test_a_tenant_without_a_shard(acme: ApiWorld) -> None:
    for shard in acme.services.shards.list(OPERATOR, tenant="Acme"):
        acme.services.shards.retire(OPERATOR, shard.id)
    told = explained(acme)
    assert told["reply"].startswith("451 4.3.5 this organisation has no sending shard")
    assert told["rule"] == "shard"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"smtp": False}, "protocol off; an API key with the right send may send all the same"),
        ({"suspended": True}, "account suspended"),
    ],
)
def test_an_account_that_is_not_let_in(acme: ApiWorld, change: dict[str, bool], why: str) -> None:
    acme.services.accounts.update(OPERATOR, ADDRESS, **change)  # type: ignore[arg-type]
    told = explained(acme)
    assert (told["reply"][:10], told["rule"]) == ("535 5.7.8 ", "sign-in")
    assert told["steps"][0] == {"rule": "sign-in", "outcome": "refused", "detail": why}
    assert len(told["values"]) > 10


def test_a_password_that_was_revoked(acme: ApiWorld) -> None:
    made, _ = acme.services.credentials.create(OPERATOR, ADDRESS)
    acme.services.credentials.revoke(OPERATOR, made.id)
    told = explained(acme, credential=made.id)
    assert (told["reply"][:3], told["steps"][0]["detail"]) == ("535", "revoked")


def test_a_list_of_the_tenants_own_switches_no_rule_of_its_plan_off(acme: ApiWorld) -> None:
    rule = '[[rules]]\nname = "blocked"\nall = [{ field = "to.domain", op = "in_list", value = "blocked-domains" }]\n'
    files = [
        {"path": "policies/plans/guarded.toml", "text": f'{rule}action = "reject"\n'},
        {"path": "policies/default.toml", "text": f'{rule}action = "tag"\ntag = "own"\n'},
    ]
    acme.done("POST", "/v1/declarations/apply", {"files": files})
    acme.done("PATCH", "/v1/tenants/Acme", {"plan": "guarded"})
    shared = {"name": "blocked-domains", "kind": "domain", "items": ["evil.example"]}
    acme.done("POST", "/v1/lists", shared)
    key = acme.key(tenant=acme.services.tenants.show(OPERATOR, "Acme").id)
    acme.done("POST", "/v1/lists", {**shared, "tenant": "Acme", "items": ["other.example"]}, key=key)
    told = explained(acme, recipients=["a@evil.example"])
    assert (told["rule"], told["reply"][:9]) == ("plan guarded: blocked", "550 5.7.1")
    assert "reject; list blocked-domains (shared, 1 of kind domain)" in str(told["steps"])
    other = explained(acme, recipients=["a@other.example"])
    assert other["reply"].startswith("250 ")
    tagged = next(step for step in other["steps"] if step["rule"] == "policy default: blocked")
    assert tagged["detail"] == "tag; list blocked-domains (own, 1 of kind domain)"


def test_a_stream_that_a_send_would_refuse_is_no_stream_here_either(acme: ApiWorld) -> None:
    reply = acme.call("POST", f"/v1/accounts/{ADDRESS}/explain", {"stream": "NÖ"})
    assert (reply.status_code, reply.json()["code"]) == (422, "bad-stream")
    assert "550 5.6.0" in reply.json()["detail"]
    assert explained(acme, stream="Marketing")["reply"].startswith("250 ")
