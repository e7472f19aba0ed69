"""Accounts on the move: many at once, tenants whole, and those that follow patterns and defaults."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control.accounts.moves import AccountMove
from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    """Acme with ann and bob of acme.test, hans of eu.acme.test; globex with eve."""
    control_services.tenants.create(OPERATOR, "acme", plan="enterprise")
    control_services.tenants.create(OPERATOR, "globex")
    for domain, tenant in (("acme.test", "acme"), ("eu.acme.test", "acme"), ("globex.test", "globex")):
        control_services.domains.add(OPERATOR, domain, tenant=tenant)
    for address, tenant in (
        ("ann@acme.test", "acme"),
        ("bob@acme.test", "acme"),
        ("hans@eu.acme.test", "acme"),
        ("eve@globex.test", "globex"),
    ):
        control_services.accounts.create(OPERATOR, address, tenant=tenant)
    return control_services


def _where(services: ControlServices) -> dict[str, tuple[str, str]]:
    return {
        one.address.partition("@")[0]: (one.workspace, one.assignment)
        for one in services.accounts.list(OPERATOR)
    }


def _changes(moved: AccountMove) -> dict[str, tuple[Any, ...]]:
    return {one.key: (one.before, one.after, one.after_source) for one in moved.changes}


def _operations(services: ControlServices) -> list[str]:
    return [entry.operation for entry in services.audit.list(OPERATOR)]


def test_many_accounts_move_at_once(services: ControlServices) -> None:
    services.workspaces.create(OPERATOR, "free", policy="free", location="eu")
    result = services.accounts.move(OPERATOR, ["ann@acme.test", "EVE@globex.test"], workspace="free")
    assert [one.address for one in result.moves] == ["ann@acme.test", "eve@globex.test"]
    assert not result.dry_run
    assert _where(services) == {
        "ann": ("free", "explicit"),
        "bob": ("default", "auto"),
        "hans": ("default", "auto"),
        "eve": ("free", "explicit"),
    }
    assert _operations(services).count("account.move") == 2
    back = services.accounts.move(OPERATOR, ["ann@acme.test", "eve@globex.test"], auto=True)
    assert {one.to_workspace for one in back.moves} == {"default"}
    assert set(_where(services).values()) == {("default", "auto")}


def test_a_dry_run_tells_what_changes_for_each_and_changes_nothing(services: ControlServices) -> None:
    services.workspaces.create(OPERATOR, "free", policy="free", location="eu")
    before, written = _where(services), len(services.audit.list(OPERATOR))
    (moved,) = services.accounts.move(OPERATOR, ["ann@acme.test"], workspace="free", dry_run=True).moves
    assert (moved.from_workspace, moved.to_workspace) == ("default", "free")
    assert (moved.from_assignment, moved.to_assignment) == ("auto", "explicit")
    changes = _changes(moved)
    assert changes["limits.account.messages_per_day"] == ("unlimited", "200", "policy free")
    assert changes["residency.location"] == ("default", "eu", "workspace")
    assert all(one.before != one.after for one in moved.changes)
    assert _where(services) == before
    assert len(services.audit.list(OPERATOR)) == written


def test_a_bulk_move_is_all_or_nothing(services: ControlServices) -> None:
    services.domains.add(OPERATOR, "staging.acme.test", tenant="acme", environment="staging")
    services.accounts.create(OPERATOR, "test@staging.acme.test", tenant="acme")
    services.workspaces.create(OPERATOR, "vip", tenant="acme")
    before = _where(services)
    with pytest.raises(Conflict, match="choose a workspace of staging") as mixed:
        services.accounts.move(OPERATOR, ["ann@acme.test", "test@staging.acme.test"], workspace="vip")
    assert mixed.value.status == 409
    with pytest.raises(NotFound, match="nobody@acme"):
        services.accounts.move(OPERATOR, ["ann@acme.test", "nobody@acme.test"], workspace="vip")
    with pytest.raises(NotFound):
        services.accounts.move(OPERATOR, ["ann@acme.test", "eve@globex.test"], workspace="vip")
    assert _where(services) == before


def test_what_cannot_be_asked(services: ControlServices) -> None:
    for references, options in (
        ([], {"workspace": "default"}),
        (["ann@acme.test"] * 501, {"workspace": "default"}),
        (["ann@acme.test"], {}),
        (["ann@acme.test"], {"workspace": "default", "auto": True}),
    ):
        with pytest.raises(Invalid):
            services.accounts.move(OPERATOR, references, **options)


def test_callers_move_only_what_is_theirs(services: ControlServices) -> None:
    acme = services.tenants.show(OPERATOR, "acme")
    vip = services.workspaces.create(OPERATOR, "vip", tenant="acme")
    foreign = services.workspaces.create(OPERATOR, "secret", tenant="globex")
    caller = limited(acme.id)
    with pytest.raises(NotFound):
        services.accounts.move(caller, ["ann@acme.test", "eve@globex.test"], workspace="vip")
    with pytest.raises(NotFound):
        services.accounts.move(caller, ["ann@acme.test"], workspace=foreign.id)
    with pytest.raises(NotFound):
        services.tenants.move(caller, "globex", "default")
    inside = Actor(kind="api", id="key-2", tenant_id=acme.id, workspace_id=vip.id)
    with pytest.raises(NotFound):
        services.accounts.move(inside, ["ann@acme.test"], workspace="vip")
    services.accounts.move(caller, ["ann@acme.test"], workspace="vip")
    with pytest.raises((NotFound, Forbidden)):
        services.accounts.move(inside, ["ann@acme.test"], workspace="default")
    assert _where(services)["ann"] == ("vip", "explicit")


def test_a_tenant_moves_whole(services: ControlServices) -> None:
    services.workspaces.create(OPERATOR, "free", policy="free")
    preview = services.tenants.move(OPERATOR, "acme", "free", dry_run=True)
    assert len(preview.moves) == 3
    assert _where(services)["ann"] == ("default", "auto")
    services.tenants.move(OPERATOR, "acme", "free")
    assert [_where(services)[name] for name in ("ann", "bob", "hans")] == [("free", "explicit")] * 3
    assert _where(services)["eve"] == ("default", "auto")
    services.domains.add(OPERATOR, "staging.acme.test", tenant="acme", environment="staging")
    services.accounts.create(OPERATOR, "test@staging.acme.test", tenant="acme")
    with pytest.raises(Conflict, match="never mix"):
        services.tenants.move(OPERATOR, "acme", "default")
    services.tenants.move(OPERATOR, "acme", "default", environment="production")
    assert _where(services)["hans"] == ("default", "explicit")


def test_only_auto_accounts_follow_new_patterns_at_once(services: ControlServices) -> None:
    services.accounts.move(OPERATOR, ["bob@acme.test"], workspace="default")
    services.workspaces.create(OPERATOR, "own", tenant="acme", policy="free")
    preview = services.workspaces.preview_patterns(OPERATOR, "own", ["acme.test", "*.acme.test"])
    assert [(one.address, one.to_workspace) for one in preview] == [
        ("ann@acme.test", "own"),
        ("hans@eu.acme.test", "own"),
    ]
    assert _changes(preview[0])["limits.account.messages_per_day"] == ("unlimited", "200", "policy free")
    assert services.workspaces.show(OPERATOR, "own").patterns == ()
    services.workspaces.update(OPERATOR, "own", patterns=["acme.test", "*.acme.test"])
    assert _where(services) == {
        "ann": ("own", "auto"),
        "bob": ("default", "explicit"),
        "hans": ("own", "auto"),
        "eve": ("default", "auto"),
    }
    services.workspaces.update(OPERATOR, "own", patterns=["*.acme.test"])
    assert (_where(services)["ann"], _where(services)["hans"]) == (("default", "auto"), ("own", "auto"))
    moves = [one for one in services.audit.list(OPERATOR) if one.operation == "account.move"]
    assert len({one.resource_id for one in moves}) == 3


def test_a_new_default_draws_auto_accounts_of_its_owner(services: ControlServices) -> None:
    services.workspaces.create(OPERATOR, "home", tenant="acme")
    preview = services.workspaces.preview_patterns(OPERATOR, "home", default=True)
    assert len(preview) == 3
    services.workspaces.update(OPERATOR, "home", default=True)
    assert [_where(services)[name] for name in ("ann", "hans", "eve")] == [
        ("home", "auto"),
        ("home", "auto"),
        ("default", "auto"),
    ]
    services.workspaces.create(OPERATOR, "new default", default=True)
    assert (_where(services)["ann"], _where(services)["eve"]) == (("home", "auto"), ("new default", "auto"))


def test_a_preview_inside_a_running_change_is_undone(services: ControlServices) -> None:
    services.workspaces.create(OPERATOR, "own", tenant="acme")
    with services.writes.change(OPERATOR) as change:
        inner = services.within(change)
        inner.tenants.update(OPERATOR, "acme", metadata={"seen": "yes"})
        assert len(inner.workspaces.preview_patterns(OPERATOR, "own", ["acme.test"])) == 2
        assert inner.workspaces.show(OPERATOR, "own").patterns == ()
    assert services.tenants.show(OPERATOR, "acme").metadata == {"seen": "yes"}
    assert services.workspaces.show(OPERATOR, "own").patterns == ()


def test_the_operator_is_asked_which_workspace_of_two_owners_is_meant(services: ControlServices) -> None:
    """A tenant that takes the name of a shared one gets nothing that is meant for the shared one."""
    acme = services.tenants.show(OPERATOR, "acme")
    shared = services.workspaces.create(OPERATOR, "quarantine", policy="free")
    own = services.workspaces.create(limited(acme.id), "Quarantine", tenant="acme", policy="free")
    for name_it in (
        lambda: services.accounts.update(OPERATOR, "ann@acme.test", workspace="quarantine"),
        lambda: services.accounts.move(OPERATOR, ["ann@acme.test"], workspace="quarantine"),
        lambda: services.accounts.create(
            OPERATOR, "new@acme.test", tenant="acme", workspace="quarantine", smtp=True
        ),
        lambda: services.tenants.move(OPERATOR, "acme", "quarantine"),
        lambda: services.api_keys.create(OPERATOR, "k", tenant="acme", workspace="quarantine"),
        lambda: services.webhooks.create(
            OPERATOR, url="https://acme.test/", tenant="acme", workspace="quarantine"
        ),
        lambda: services.workspaces.show(OPERATOR, "quarantine"),
    ):
        with pytest.raises(Conflict) as refused:
            name_it()
        assert refused.value.code == "ambiguous"
        assert f"{shared.id} (shared)" in refused.value.detail
        assert f"{own.id} (of tenant {acme.id})" in refused.value.detail
    assert _where(services)["ann"] == ("default", "auto")
    moved = services.accounts.update(OPERATOR, "ann@acme.test", workspace=shared.id)
    assert moved.workspace_id == shared.id
    # Another tenant has no such workspace of its own: there the name is clear.
    assert services.tenants.move(OPERATOR, "globex", "quarantine").moves[0].to_workspace_id == shared.id


def test_a_tenants_own_workspace_is_what_its_caller_means(services: ControlServices) -> None:
    acme = services.tenants.show(OPERATOR, "acme")
    services.workspaces.create(OPERATOR, "quarantine", policy="free")
    own = services.workspaces.create(limited(acme.id), "quarantine", tenant="acme", policy="free")
    moved = services.accounts.update(limited(acme.id), "ann@acme.test", workspace="quarantine")
    assert moved.workspace_id == own.id
