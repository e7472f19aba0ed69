"""Lists: filled in parts, seen by whom they concern, in every directory at once."""

from __future__ import annotations

import pytest

from gateway.control.directory import Directory
from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.paging import PageQuery
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    """Two tenants."""
    control_services.tenants.create(OPERATOR, "acme")
    control_services.tenants.create(OPERATOR, "globex")
    return control_services


def _values(services: ControlServices, name: str) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = services.lists.items(OPERATOR, name, PageQuery(limit=2, cursor=cursor))
        found += [one.value for one in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


def test_items_come_and_go_in_one_form(services: ControlServices) -> None:
    made = services.lists.create(OPERATOR, "partners", "domain", items=["Acme.Example", "müller.example"])
    assert (made.items, made.tenant_id) == (2, None)
    assert (
        services.lists.add_items(OPERATOR, "partners", ["acme.example", "b.example", "c.example"]).items == 4
    )
    assert _values(services, "partners") == [
        "acme.example",
        "b.example",
        "c.example",
        "xn--mller-kva.example",
    ]
    assert services.lists.remove_items(OPERATOR, made.id, ["B.example", "nobody.example"]).items == 3
    services.lists.replace_items(OPERATOR, "partners", ["c.example", "d.example"])
    assert _values(services, "partners") == ["c.example", "d.example"]
    assert services.lists.replace_items(OPERATOR, "partners", []).items == 0
    operations = [one.operation for one in services.audit.list(OPERATOR) if one.resource_kind == "list"]
    assert operations == [
        "list.items.replace",
        "list.items.replace",
        "list.items.remove",
        "list.items.add",
        "list.create",
    ]


def test_what_changes_nothing_leaves_no_trace(services: ControlServices) -> None:
    services.lists.create(OPERATOR, "tlds", "tld", items=[".ZIP", "ru"])
    before = len(services.audit.list(OPERATOR))
    services.lists.add_items(OPERATOR, "tlds", ["zip"])
    services.lists.remove_items(OPERATOR, "tlds", ["de"])
    services.lists.replace_items(OPERATOR, "tlds", ["ru", ".zip"])
    assert len(services.audit.list(OPERATOR)) == before


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("domain", "a@b.test"),
        ("domain", "com"),
        ("domain", ""),
        ("tld", "a b"),
        ("tld", "co.uk"),
        ("address", "acme.test"),
    ],
)
def test_what_cannot_stand_in_a_list(services: ControlServices, kind: str, item: str) -> None:
    with pytest.raises(Invalid):
        services.lists.create(
            OPERATOR, "bad", kind, items=["ok@b.test" if kind == "address" else "b.test", item]
        )
    with pytest.raises(NotFound):
        services.lists.show(OPERATOR, "bad")


def test_bounds(services: ControlServices) -> None:
    services.lists.create(OPERATOR, "many", "domain")
    thousand = [f"d{n}.example" for n in range(1000)]
    assert services.lists.add_items(OPERATOR, "many", thousand).items == 1000
    for wrong in ([*thousand, "one.more"], []):
        with pytest.raises(Invalid):
            services.lists.add_items(OPERATOR, "many", wrong)
    for name in ("", "A", "with space", "-x", "x" * 64):
        with pytest.raises(Invalid):
            services.lists.create(OPERATOR, name, "domain")
    with pytest.raises(Invalid):
        services.lists.create(OPERATOR, "other", "colour")
    with pytest.raises(Conflict):
        services.lists.create(OPERATOR, "many", "tld")


def test_callers_see_their_own_and_the_shared_ones(services: ControlServices) -> None:
    acme = services.tenants.show(OPERATOR, "acme")
    services.lists.create(OPERATOR, "vip", "address", items=["boss@shared.test"])
    secret = services.lists.create(OPERATOR, "secret", "domain", tenant="globex")
    caller = limited(acme.id)
    mine = services.lists.create(caller, "vip", "address", tenant="acme", items=["boss@acme.test"])
    assert services.lists.show(caller, "vip") == mine
    names = [(one.name, one.tenant_id) for one in services.lists.page(caller, PageQuery()).items]
    assert sorted(names, key=str) == sorted([("vip", None), ("vip", acme.id)], key=str)
    for call in (
        lambda: services.lists.show(caller, secret.id),
        lambda: services.lists.items(caller, "secret", PageQuery()),
        lambda: services.lists.add_items(caller, secret.id, ["a.test"]),
        lambda: services.lists.create(caller, "x", "domain", tenant="globex"),
    ):
        with pytest.raises(NotFound):
            call()
    shared = next(one for one in services.lists.page(caller, PageQuery()).items if one.tenant_id is None)
    for refused in (
        lambda: services.lists.create(caller, "x", "domain"),
        lambda: services.lists.delete(caller, shared.id),
        lambda: services.lists.create(
            Actor(kind="api", id="k", tenant_id=acme.id, environment="staging"), "x", "domain", tenant="acme"
        ),
    ):
        with pytest.raises(Forbidden):
            refused()
    for name_it in (
        lambda: services.lists.show(OPERATOR, "vip"),
        lambda: services.lists.add_items(OPERATOR, "vip", ["a@shared.test"]),
        lambda: services.lists.delete(OPERATOR, "vip"),
    ):
        with pytest.raises(Conflict) as asked:
            name_it()
        assert (asked.value.code, f"{shared.id} (shared)" in asked.value.detail) == ("ambiguous", True)
        assert f"{mine.id} (of tenant {acme.id})" in asked.value.detail


def test_directories_follow(services: ControlServices) -> None:
    acme = services.tenants.show(OPERATOR, "acme")
    shared = services.lists.create(OPERATOR, "vip", "domain", items=["a.test"])
    directory = Directory(services.writes.database, clock=services.writes.clock)
    try:
        directory.refresh()
        assert directory.lists_of(acme.id).get("vip").values == {"a.test"}
        services.lists.add_items(OPERATOR, shared.id, ["b.test"])
        services.lists.create(OPERATOR, "vip", "domain", tenant="globex", items=["c.test"])
        directory.refresh()
        assert directory.lists_of(acme.id).get("vip").values == {"a.test", "b.test"}
        globex = services.tenants.show(OPERATOR, "globex")
        assert directory.lists_of(globex.id).get("vip").values == {"c.test"}
        services.lists.delete(OPERATOR, shared.id)
        directory.refresh()
        assert directory.lists_of(acme.id).get("vip") is None
    finally:
        directory.stop()
