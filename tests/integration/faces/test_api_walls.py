"""Two tenants and every operation there is: another tenant's things are not there.

The operations are enumerated, and what they name is filled in by the parameters' and fields' names: an
operation that names something new fails here until `THINGS` knows how to make one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi.routing import APIRoute

from gateway.faces.api.application import schema
from gateway.faces.api.facts import facts_of
from gateway.faces.api.routes import ROOMS
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR

ROUTES = [route for room in ROOMS for route in room.api.routes if isinstance(route, APIRoute)]
NAMING = [route for route in ROUTES if "{" in route.path]

OPERATORS = {
    "apply",
    "audit erase",
    "domain mark-verified",
    "domain reconcile",
    "limit raise",
    "limit revoke",
    "plan delete",
    "plan update",
    "policy apply",
    "policy delete",
    "policy update",
    "shard route",
    "source create",
    "source retire",
    "source update",
    "tenant create",
    "tenant delete",
    "tenant restore",
    "tenant resume",
    "tenant suspend",
}
"""What a tenant's caller may not do, with its own things either."""

TENANTS = {
    "account alias add",
    "account alias remove",
    "account create",
    "account delete",
    "account move",
    "account restore",
    "account resume",
    "account suspend",
    "account update",
    "api-key create",
    "api-key revoke",
    "app-password create",
    "app-password replace",
    "app-password revoke",
    "app-password update",
    "dkim-key activate",
    "dkim-key create",
    "dkim-key import",
    "dkim-key revoke",
    "dkim-key rotate",
    "dkim-key update",
    "domain add",
    "domain add-trial",
    "domain delegate",
    "domain delete",
    "domain page",
    "domain promote",
    "domain restore",
    "domain undelegate",
    "domain update",
    "domain verify",
    "limit update",
    "list add",
    "list create",
    "list delete",
    "list remove",
    "list replace",
    "list update",
    "message send",
    "provision",
    "provision batch",
    "queue drop",
    "queue hold",
    "queue release",
    "queue retry",
    "shard create",
    "shard pause",
    "shard resume",
    "shard retire",
    "shard update",
    "tenant move",
    "tenant update",
    "webhook create",
    "webhook delete",
    "webhook pause",
    "webhook ping",
    "webhook replay",
    "webhook resume",
    "webhook rotate-secret",
    "webhook update",
    "workspace create",
    "workspace delete",
    "workspace preview",
    "workspace update",
}
"""What it may do with its own."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant with one of everything, by the name that paths and bodies use; `key` may do all."""

    things: dict[str, str]
    key: str


def tenant(api: ApiWorld, name: str) -> Tenant:
    """A tenant with one of everything."""
    services = api.services
    made = services.tenants.create(OPERATOR, name)
    workspace = services.workspaces.create(OPERATOR, f"{name} own", tenant=made.id, policy="free")
    domain = services.domains.add(OPERATOR, f"{name}.example", tenant=made.id)
    services.domains.mark_verified(OPERATOR, domain.id, "test")
    account = services.accounts.create(
        OPERATOR, f"a@{name}.example", tenant=made.id, workspace=workspace.id, smtp=True
    )
    until = services.writes.clock.now() + 3600.0
    limit = services.raises.create(OPERATOR, account.id, {"daily": 1_000}, until=until, reason="x")
    listed = services.lists.create(OPERATOR, f"{name}-list", "domain", tenant=made.id, items=["x.example"])
    password, _ = services.credentials.create(OPERATOR, account.id)
    key, secret = services.api_keys.create(
        OPERATOR, name, tenant=made.id, rights=("read", "write", "send", "support")
    )
    webhook, _ = services.webhooks.create(OPERATOR, url=f"https://{name}.example/", tenant=made.id)
    shard = services.shards.show(OPERATOR, made.shards[0])
    source = services.sources.create(OPERATOR, helo=f"out.{name}.example", ipv4=f"192.0.2.{len(name)}")
    entry = services.audit.list(OPERATOR, tenant=made.id)[0]
    things = {
        "tenant": made.id,
        "workspace": workspace.id,
        "domain": domain.id,
        "account": account.id,
        "grant_id": account.id,
        "address": account.address,
        "password": password.id,
        "api_key": key.id,
        "shard": shard.id,
        "source": source.id,
        "dkim_key": services.keys.list(OPERATOR, domain=domain.id)[0].id,
        "entry": entry.id,
        "webhook": webhook.id,
        "limit": limit.id,
        "list_name": listed.id,
        "target": account.id,
        "message": api.mail(account.id),
    }
    return Tenant(things, secret)


@pytest.fixture
def two(api: ApiWorld) -> Iterator[tuple[ApiWorld, Tenant, Tenant]]:
    """Us and them."""
    yield api, tenant(api, "acme"), tenant(api, "other")


def body_for(description: dict[str, Any], operation: dict[str, Any], things: dict[str, str]) -> Any:
    """The smallest body that an operation takes, naming these things."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    return sample(description, content["application/json"]["schema"], "", things)


def sample(description: dict[str, Any], shape: dict[str, Any], name: str, things: dict[str, str]) -> Any:
    """A value of a shape; a field that is called like a thing names it."""
    if "$ref" in shape:
        shape = description["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    for choice in ("anyOf", "oneOf"):
        if choice in shape:
            first = next(one for one in shape[choice] if one.get("type") != "null")
            return sample(description, first, name, things)
    if "const" in shape:
        return shape["const"]
    if "enum" in shape:
        return shape["enum"][0]
    match shape.get("type"):
        case "object":
            wanted = shape.get("required", [])
            return {one: sample(description, shape["properties"][one], one, things) for one in wanted}
        case "array":
            return [sample(description, shape.get("items", {}), name.removesuffix("s"), things)]
        case "integer" | "number":
            return shape.get("minimum", 1)
        case "boolean":
            return True
    if shape.get("format") == "date-time":
        return "2030-01-01T00:00:00Z"
    return things.get(name, WORDS.get(name, "x"))


WORDS = {"route": "mx"}
"""Words that are looked at before anything is looked for."""


def query_for(description: dict[str, Any], operation: dict[str, Any]) -> str:
    """The query that an operation must have."""
    wanted = {
        one["name"]: sample(description, one["schema"], one["name"], SHARED)
        for one in operation.get("parameters", ())
        if one["in"] == "query" and one.get("required", False)
    }
    # Of a span the later end comes later.
    if "until" in wanted:
        wanted["until"] = "2031-01-01T00:00:00Z"
    return f"?{urlencode(wanted)}" if wanted else ""


ENDLESS = ("/events/stream",)
"""Has no end; what it shows is what the list of events shows."""

TAGLESS = {
    # What they change is outside of the control database, or they change nothing.
    *("queue retry", "queue hold", "queue release", "queue drop"),
    *(
        "domain verify",
        "domain page",
        "policy explain",
        "webhook ping",
        "webhook replay",
        "workspace preview",
        "audit erase",
    ),
}
"""Operations upon one thing that has an ETag, and yet they take no `If-Match`."""

SHARED = {"policy": "default", "plan": "standard", "version": "1"}
"""What belongs to nobody: the operator's documents."""


def filled(path: str, things: dict[str, str]) -> str:
    """A path with these things' ids in it."""

    def one(match: re.Match[str]) -> str:
        name = match[1].partition(":")[0]
        known = {**things, **SHARED}
        assert name in known, f"{path}: say in `tenant` how one makes a {name!r}"
        return known[name]

    return re.sub(r"\{([^}]+)\}", one, path)


@pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)
def test_another_tenants_things_are_not_there(two: tuple[ApiWorld, Tenant, Tenant]) -> None:
    api, us, them = two
    description = schema(api.app)
    wrong = []
    for route in NAMING:
        named = {name.partition(":")[0] for name in re.findall(r"\{([^}]+)\}", route.path)}
        if named <= set(SHARED):
            continue
        for method in sorted(route.methods):
            path = filled(f"/v1{route.path}" if not route.path.startswith("/v1") else route.path, them.things)
            operation = description["paths"][f"/v1{route.path}"][method.lower()]
            body = body_for(description, operation, them.things)
            reply = api.call(method, path + query_for(description, operation), body, key=us.key)
            if reply.status_code != 404:
                wrong.append(f"{facts_of(route.endpoint).cli}: {method} {path} gave {reply.text[:300]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)
def test_lists_show_nothing_of_another_tenant(two: tuple[ApiWorld, Tenant, Tenant]) -> None:
    api, us, them = two
    foreign = set(them.things.values()) | {"other.example"}
    for route in ROUTES:
        if "GET" not in route.methods or "{" in route.path or route.path in ENDLESS:
            continue
        reply = api.call("GET", f"/v1{route.path}", key=us.key)
        told = [thing for thing in foreign if thing in reply.text]
        assert not told, f"{route.path} tells {told}: {reply.text[:500]}"


WRITING = [route for route in ROUTES if facts_of(route.endpoint).right in ("write", "send")]


def test_of_every_operation_that_changes_something_it_is_said_whose_it_is() -> None:
    assert {facts_of(route.endpoint).cli for route in WRITING} == OPERATORS | TENANTS
    assert not OPERATORS & TENANTS


@pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)
def test_what_is_the_operators_no_tenants_key_does_with_its_own_things(api: ApiWorld) -> None:
    us, description = tenant(api, "acme"), schema(api.app)
    wrong = []
    for route in WRITING:
        if (name := facts_of(route.endpoint).cli) not in OPERATORS:
            continue
        path, (method,) = filled(f"/v1{route.path}", us.things), route.methods
        body = body_for(description, description["paths"][f"/v1{route.path}"][method.lower()], us.things)
        body = None if body is None else body | BESIDES.get(name, {})
        reply = api.call(method, path, body, key=us.key)
        # The sources of all are not there for one.
        if (reply.status_code, reply.json().get("code")) not in (
            (403, "operator-only"),
            (404, "source-not-found"),
            (404, "page-not-found"),
        ):
            wrong.append(f"{name}: {method} {path} {body} gave {reply.status_code} {reply.text[:300]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)
def test_another_tenants_things_are_not_there_in_bodies_either(two: tuple[ApiWorld, Tenant, Tenant]) -> None:
    api, us, them = two
    description = schema(api.app)
    wrong = []
    for route in WRITING:
        path, (method,) = filled(f"/v1{route.path}", us.things), route.methods
        operation = description["paths"][f"/v1{route.path}"][method.lower()]
        name = facts_of(route.endpoint).cli
        for given, what in with_foreign(description, operation, us.things, them.things):
            if (name, what) in FREE:
                continue
            beside = {} if what == "workspace" and name == "account move" else BESIDES.get(name, {})
            body = beside | given if what in beside else given | beside
            reply = api.call(method, path, body, key=us.key)
            if reply.status_code not in (403, 404):
                wrong.append(f"{name}: {what} in {method} {path} {body} gave {reply.text[:300]}")
    assert not wrong, "\n".join(wrong)


def with_foreign(
    description: dict[str, Any], operation: dict[str, Any], ours: dict[str, str], theirs: dict[str, str]
) -> Iterator[tuple[Any, str]]:
    """Bodies of our own things with one of theirs in it, and the name of its field."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return
    shape = content["application/json"]["schema"]
    if "$ref" in shape:
        shape = description["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    for name, field in shape.get("properties", {}).items():
        if (name.removesuffix("s") in theirs or name in theirs) and name != "address":
            yield (
                sample(description, shape, "", ours) | {name: sample(description, field, name, theirs)},
                name,
            )


FREE = (("limit raise", "limits"), ("provision", "account"), ("provision", "domain"), ("provision", "tenant"))
"""Fields that hold no reference although they are called like a thing."""

PEM = (
    ed25519.Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
BESIDES: dict[str, dict[str, Any]] = {
    "account move": {"auto": True},
    "domain add": {"name": "new.example"},
    "limit raise": {"limits": {"daily": 10}},
    "dkim-key import": {"pem": PEM},
    "source create": {"helo": "out.acme.example", "ipv4": "192.0.2.99"},
    "shard create": {"name": "s9.acme.example"},
    "webhook create": {"url": "https://acme.example/"},
}
"""What a body must have beside references so that these are looked for."""


@pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)
def test_no_operation_ignores_a_stale_tag(api: ApiWorld) -> None:
    acme = tenant(api, "acme")
    description = schema(api.app)
    wrong = []
    for route in ROUTES:
        for method in sorted(route.methods):
            operation = description["paths"][f"/v1{route.path}"][method.lower()]
            facts = facts_of(route.endpoint)
            reply = api.call(
                method,
                filled(f"/v1{route.path}", acme.things) + query_for(description, operation),
                body_for(description, operation, acme.things),
                headers={"If-Match": '"stale"'},
            )
            told = (reply.status_code, reply.json().get("code"))
            if told != ((400, "if-match-not-taken") if facts.current is None else (412, "changed-meanwhile")):
                wrong.append(f"{facts.cli}: {told} {reply.text[:200]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)
def test_what_names_one_thing_to_change_takes_its_tag(api: ApiWorld) -> None:
    shown = {route.path for route in ROUTES if "GET" in route.methods}
    without = {
        facts_of(route.endpoint).cli
        for route in ROUTES
        if "GET" not in route.methods
        and facts_of(route.endpoint).current is None
        and any(
            route.path in (path, f"{path}/{route.path.rsplit('/', 1)[1]}") for path in shown if "{" in path
        )
    }
    assert without == TAGLESS
