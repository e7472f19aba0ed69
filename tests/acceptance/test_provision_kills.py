"""The process dies beside the commit of a provisioning request: whoever asks again gets one identity."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway, wait_until


@pytest.fixture(scope="module")
def dying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a test asks for the death: `tests.support.dying`."""
    return tmp_path_factory.mktemp("dying")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, dying: Path) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway") / "var"
    running = Gateway(folder, program=("tests.support.dying", str(dying))).start()
    yield running
    assert running.stop() == 0


def post(gateway: Gateway, path: str, body: Any, **headers: str) -> httpx.Response:
    """One request of the operator's. Raises httpx.TransportError."""
    state = gateway.state["api"]
    headers["Authorization"] = f"Bearer {state['key']}"
    return httpx.post(state["url"] + path, json=body, headers=headers, timeout=60)


def ask_again(gateway: Gateway, path: str, body: Any, **headers: str) -> httpx.Response:
    """The same request until somebody answers: the supervisor starts the process anew."""

    def answer() -> httpx.Response | None:
        try:
            return post(gateway, path, body, **headers)
        except httpx.TransportError:
            return None

    found = wait_until(answer, 30.0, "an answer")
    assert isinstance(found, httpx.Response)
    return found


def wanted(name: str) -> dict[str, Any]:
    account = {"local_part": "support", "client_id": name}
    return {"tenant": {"name": name}, "account": account, "protocols": {"smtp": True}, "app_password": True}


def made_of(gateway: Gateway, name: str) -> dict[str, int]:
    """How many things there are of one request."""
    [tenant] = [one for one in gateway.cli("tenant", "list") if one["name"] == name]
    kinds = ("account", "domain", "shard")
    return {kind: len(gateway.cli(kind, "list", "--tenant", tenant["id"])) for kind in kinds}


@pytest.mark.parametrize(("when", "is_made"), [("before", False), ("after", True)])
def test_the_same_key_gives_one_identity(gateway: Gateway, dying: Path, when: str, is_made: bool) -> None:
    body, key = wanted(f"Once {when}"), {"Idempotency-Key": when}
    (dying / when).touch()
    with pytest.raises(httpx.TransportError):
        post(gateway, "/v1/provision", body, **key)
    assert not (dying / when).exists()
    reply = ask_again(gateway, "/v1/provision", body, **key)
    assert reply.status_code == 201, reply.text
    told = reply.json()
    assert reply.headers.get("Idempotency-Replayed") == ("true" if is_made else None)
    assert (told["app_password"] is None) is is_made
    assert ("app-password create" in (told.get("fix") or "")) is is_made
    assert made_of(gateway, body["tenant"]["name"]) == {"account": 1, "domain": 1, "shard": 1}
    assert post(gateway, "/v1/provision", wanted("Another"), **key).status_code == 409
    password = told["app_password"] or gateway.cli("app-password", "create", told["grant_id"])["app_password"]
    with gateway.smtp(told["login"], password):
        pass
    gateway.cli("audit", "verify")


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_rows_of_a_batch_are_made_once(gateway: Gateway, dying: Path, when: str) -> None:
    names = [f"Row {when} {number}" for number in range(4)]
    body = {"rows": [wanted(name) for name in names]}
    (dying / when).touch()
    with pytest.raises(httpx.TransportError):
        post(gateway, "/v1/provision/batch", body)
    reply = ask_again(gateway, "/v1/provision/batch", body)
    assert reply.status_code == 200, reply.text
    for name in names:
        assert made_of(gateway, name) == {"account": 1, "domain": 1, "shard": 1}
