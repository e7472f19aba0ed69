"""Lists by page: whole however they are cut, filtered, sorted, and a few queries each."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.control.errors import Conflict, Invalid, NotFound
from gateway.control.paging import Page, PageQuery
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, MakeServices, limited
from tests.support.databases import Templates

ListPage = Callable[[PageQuery], Page[Any]]


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    """Acme with seven accounts of acme.test, globex with one."""
    control_services.tenants.create(OPERATOR, "acme", client_id="crm-1", metadata={"tier": "gold"})
    control_services.tenants.create(OPERATOR, "globex", plan="free")
    control_services.domains.add(OPERATOR, "acme.test", tenant="acme", metadata={"owner": "it"})
    control_services.domains.add(OPERATOR, "globex.test", tenant="globex")
    for n in range(7):
        control_services.accounts.create(
            OPERATOR,
            f"u{n}@acme.test",
            tenant="acme",
            aliases=[f"alias{n}@acme.test"],
            client_id=f"user-{n}",
            smtp=n % 2 == 0,
            metadata={"team": "red" if n < 3 else "blue"},
        )
    control_services.accounts.create(OPERATOR, "eve@globex.test", tenant="globex", smtp=True)
    return control_services


def _all(page: ListPage, limit: int, **query: Any) -> list[Any]:
    """Every item, page by page."""
    items: list[Any] = []
    cursor = None
    while True:
        found = page(PageQuery(limit=limit, cursor=cursor, **query))
        items += found.items
        assert len(found.items) <= limit
        if found.cursor is None:
            return items
        cursor = found.cursor


def _accounts(services: ControlServices, **filters: str) -> list[str]:
    found = _all(lambda query: services.accounts.page(OPERATOR, query), 3, filters=filters)
    return [one.address.partition("@")[0] for one in found]


@pytest.mark.parametrize("sort", [None, "created_at", "-created_at", "address", "-address", "updated_at"])
def test_pages_make_up_the_whole_list(services: ControlServices, sort: str | None) -> None:
    whole = _all(lambda query: services.accounts.page(OPERATOR, query), 500, sort=sort)
    assert len(whole) == 8
    for limit in (1, 3, 8):
        assert _all(lambda query: services.accounts.page(OPERATOR, query), limit, sort=sort) == whole
    column = (sort or "created_at").removeprefix("-")
    values = [getattr(one, column) for one in whole]
    assert values == sorted(values, reverse=(sort or "").startswith("-"))
    assert {one.id: one for one in whole} == {one.id: one for one in services.accounts.list(OPERATOR)}


def test_accounts_are_filtered(services: ControlServices) -> None:
    services.workspaces.create(OPERATOR, "own", tenant="acme")
    services.accounts.update(OPERATOR, "u1@acme.test", workspace="own")
    services.accounts.suspend(OPERATOR, "u2@acme.test", reason="left")
    assert _accounts(services, tenant="globex") == ["eve"]
    assert _accounts(services, tenant="acme", smtp="true") == ["u0", "u2", "u4", "u6"]
    assert _accounts(services, workspace="own") == _accounts(services, assignment="explicit") == ["u1"]
    assert _accounts(services, status="suspended") == ["u2"]
    assert _accounts(services, domain="globex.test") == ["eve"]
    assert _accounts(services, client_id="user-5") == ["u5"]
    assert _accounts(services, address="ALIAS3@acme.test") == ["u3"]
    assert _accounts(services, **{"metadata.team": "red"}) == ["u0", "u1", "u2"]
    assert _accounts(services, environment="staging") == []


def test_every_resource_has_pages(services: ControlServices) -> None:
    services.sources.create(OPERATOR, helo="out1.gatepost.test", ipv4="192.0.2.1", metadata={"rack": "7"})
    services.credentials.create(OPERATOR, "u0@acme.test", client_id="pw-1", metadata={"use": "printer"})
    services.keys.update(OPERATOR, services.keys.list(OPERATOR, domain="acme.test")[0].id, client_id="k-1")
    services.plans.update(OPERATOR, "free", client_id="price-0")
    services.policies.update(OPERATOR, "bulk", metadata={"team": "growth"})
    found: tuple[tuple[Any, dict[str, str], list[str]], ...] = (
        (services.tenants, {"client_id": "crm-1"}, ["acme"]),
        (services.tenants, {"plan": "free"}, ["globex"]),
        (services.tenants, {"metadata.tier": "gold", "status": "active"}, ["acme"]),
        (services.workspaces, {"default": "true", "environment": "staging"}, ["staging"]),
        (services.workspaces, {"tenant": "shared"}, ["default", "development", "staging"]),
        (services.domains, {"metadata.owner": "it"}, ["acme.test"]),
        (services.domains, {"tenant": "acme", "kind": "trial"}, ["acme.trial.gatepost.test"]),
        (services.shards, {"domain": "acme.trial.gatepost.test"}, ["s1.mail.acme.trial.gatepost.test"]),
        (services.sources, {"metadata.rack": "7", "pool": "default"}, ["out1.gatepost.test"]),
        (services.plans, {"client_id": "price-0"}, ["free"]),
        (services.policies, {"metadata.team": "growth"}, ["bulk"]),
        (services.policies, {"name": "default"}, ["default"]),
    )
    for service, filters, names in found:
        items = _all(lambda query, service=service: service.page(OPERATOR, query), 2, filters=filters)
        assert [one.name for one in items] == names
    assert len(services.keys.page(OPERATOR, PageQuery(filters={"client_id": "k-1"})).items) == 1
    (password,) = services.credentials.page(OPERATOR, PageQuery(filters={"client_id": "pw-1"})).items
    assert (password.login, password.metadata) == ("u0@acme.test", {"use": "printer"})
    assert not hasattr(password, "hash")
    assert services.credentials.page(OPERATOR, PageQuery(filters={"account": "u1@acme.test"})).items == ()


def test_a_limited_caller_pages_through_its_own(services: ControlServices) -> None:
    services.credentials.create(OPERATOR, "eve@globex.test")
    caller = limited(services.tenants.show(OPERATOR, "acme").id)
    everything = PageQuery(limit=500)
    assert {one.tenant_id for one in services.accounts.page(caller, everything).items} == {caller.tenant_id}
    assert [one.name for one in services.tenants.page(caller, everything).items] == ["acme"]
    assert services.credentials.page(caller, everything).items == ()
    assert services.sources.page(caller, everything).items == ()
    with pytest.raises(NotFound):
        services.accounts.page(caller, PageQuery(filters={"tenant": "globex"}))


def _cursor(*place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (PageQuery(limit=0), "bad-limit"),
        (PageQuery(limit=501), "bad-limit"),
        (PageQuery(sort="password"), "bad-sort"),
        (PageQuery(filters={"password": "x"}), "bad-filter"),
        (PageQuery(filters={"status": "gone"}), "bad-status"),
        (PageQuery(filters={"smtp": "maybe"}), "bad-filter"),
        (PageQuery(cursor="nonsense"), "bad-cursor"),
        (PageQuery(cursor=_cursor(None, 2**70, "x")), "bad-cursor"),
        (PageQuery(cursor=_cursor(None, "text", "x")), "bad-cursor"),
        (PageQuery(cursor=_cursor(None, True, "x")), "bad-cursor"),
        (PageQuery(cursor=_cursor(None, 1.0, "\0")), "bad-cursor"),
        (PageQuery(sort="address", cursor=_cursor("address", 1.0, "x")), "bad-cursor"),
        (PageQuery(sort="address", cursor=_cursor("address", "\0", "x")), "bad-cursor"),
        (PageQuery(sort="address", cursor=_cursor(None, 1.0, "x")), "bad-cursor"),
    ],
)
def test_what_cannot_be_asked(services: ControlServices, query: PageQuery, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        services.accounts.page(OPERATOR, query)
    assert refusal.value.code == code


def test_a_client_id_names_one_thing_of_its_kind(services: ControlServices) -> None:
    with pytest.raises(Conflict) as taken:
        services.accounts.update(OPERATOR, "u1@acme.test", client_id="user-2")
    assert taken.value.code == "client-id-taken"
    assert services.accounts.update(OPERATOR, "u1@acme.test", client_id="user-1").client_id == "user-1"
    assert services.accounts.update(OPERATOR, "u1@acme.test", client_id="").client_id is None
    assert services.accounts.update(OPERATOR, "u2@acme.test", client_id="user-1").client_id == "user-1"
    services.accounts.update(OPERATOR, "eve@globex.test", client_id="user-1")
    with pytest.raises(Conflict):
        services.tenants.create(OPERATOR, "initech", client_id="crm-1")
    with pytest.raises(Invalid):
        services.domains.update(OPERATOR, "acme.test", client_id="a\nb")


@contextmanager
def _statements() -> Iterator[list[tuple[str, Any]]]:
    """The SELECTs that are made meanwhile."""
    seen: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            seen.append((statement, parameters))

    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)


def test_a_page_of_accounts_is_three_queries(services: ControlServices) -> None:
    for limit in (1, 8):
        with _statements() as seen:
            services.accounts.page(OPERATOR, PageQuery(limit=limit))
        assert len(seen) == 3


@pytest.mark.parametrize(
    ("sort", "tenant"),
    [
        ("created_at", False),
        ("-created_at", False),
        ("address", False),
        ("updated_at", False),
        ("created_at", True),
        ("address", True),
    ],
)
def test_a_page_of_accounts_is_read_off_an_index(
    tmp_path: Any, database_templates: Templates, make_services: MakeServices, sort: str, tenant: bool
) -> None:
    services = make_services(database_templates.sqlite("control", tmp_path / "control.db"))
    services.bootstrap()
    actor = limited("0199d0a0-0000-7000-8000-000000000000") if tenant else OPERATOR
    with _statements() as seen:
        services.accounts.page(actor, PageQuery(sort=sort))
    ((statement, parameters), *_) = seen
    with services.writes.database.read() as connection:
        plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).all()
    text = " ".join(row[3] for row in plan)
    assert "USING INDEX ix_accounts_" in text
    assert "TEMP B-TREE" not in text
