"""Files planned, applied and exported: all or nothing, only what is named, nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from gateway.control.declarations.values import InvalidDeclarations, Plan
from gateway.control.errors import Forbidden
from gateway.control.installation.model import HeadRow
from gateway.control.services import ControlServices
from gateway.control.shards.model import ShardRow
from tests.support.control import OPERATOR, MakeServices, limited

PLATFORM = """
[[sources]]
helo = "out1.gatepost.test"
ipv4 = "192.0.2.10"
pool = "shared"

[[workspaces]]
name = "gold"
policy = "strict"
patterns = ["*.gold.example"]
location = "eu"

[[lists]]
name = "rivals"
kind = "domain"
items = ["B.example", "a.example"]
"""
ACME = """
[[tenants]]
name = "Acme"
plan = "free"
contacts = ["Ops@acme.example"]
notices = false
trial = ["staging", "production"]
client_id = "crm-1"
metadata = { crm = "4711" }

[[tenants.workspaces]]
name = "main"
default = true

[[tenants.domains]]
name = "Bücher.example"
mode = "send-receive"

[[tenants.shards]]
name = "s1.mail.xn--bcher-kva.example"
route = "smtp://192.0.2.25:25"
streams = ["transactional", "agent"]
weight = 5
sign = true

[[tenants.shards]]
name = "s2.mail.acme-staging.trial.gatepost.test"
environment = "staging"
state = "paused"

[[tenants.lists]]
name = "friends"
kind = "address"
description = "who may write"
items = ["bob@friends.example"]
"""
TREE = (
    ("tree/policies/strict.toml", 'extends = "default"\n[limits]\nmessage_bytes = "1 MiB"\n'),
    ("tree/policies/plans/small.toml", "[limits.account]\nmessages_per_day = 5\n"),
    ("tree/platform.toml", PLATFORM),
    ("tree/tenants/acme.toml", ACME),
)


def revision(services: ControlServices) -> int:
    """The control plane's revision."""
    with services.writes.view() as session:
        return session.scalars(sa.select(HeadRow.revision)).one()


def told(plan: Plan) -> list[tuple[str, str | None, str, str]]:
    """A plan without its fields."""
    return [(one.kind, one.tenant, one.name, one.action) for one in plan.changes]


def apply(services: ControlServices, text: str, **options: Any) -> Plan:
    """Apply one file."""
    return services.declarations.apply(OPERATOR, [("one.toml", text)], **options)


def problems_of(services: ControlServices, *texts: str) -> list[tuple[str, int, str, str]]:
    """What is wrong with files."""
    files = [(f"f{number}.toml", text) for number, text in enumerate(texts)]
    before = revision(services)
    with pytest.raises(InvalidDeclarations) as planned:
        services.declarations.plan(OPERATOR, files)
    with pytest.raises(InvalidDeclarations) as applied:
        services.declarations.apply(OPERATOR, files)
    assert applied.value.problems == planned.value.problems
    assert revision(services) == before
    return [(one.file, one.line, one.key, one.message) for one in applied.value.problems]


def test_a_tree_is_planned_applied_once_and_then_changes_nothing(control_services: ControlServices) -> None:
    before = revision(control_services)
    planned = control_services.declarations.plan(OPERATOR, TREE)
    assert revision(control_services) == before
    assert told(planned) == [
        ("policy", None, "strict", "create"),
        ("plan", None, "small", "create"),
        ("source", None, "out1.gatepost.test", "create"),
        ("tenant", None, "Acme", "create"),
        ("trial", "Acme", "production", "create"),
        ("trial", "Acme", "staging", "create"),
        ("list", None, "rivals", "create"),
        ("list", "Acme", "friends", "create"),
        ("workspace", None, "gold", "create"),
        ("workspace", "Acme", "main", "create"),
        ("domain", "Acme", "xn--bcher-kva.example", "create"),
        ("shard", "Acme", "s1.mail.xn--bcher-kva.example", "create"),
        ("shard", "Acme", "s2.mail.acme-staging.trial.gatepost.test", "create"),
    ]
    applied = control_services.declarations.apply(OPERATOR, TREE)
    assert applied == planned
    assert revision(control_services) == before + 1
    assert not control_services.declarations.plan(OPERATOR, TREE).has_changes
    assert not control_services.declarations.apply(OPERATOR, TREE).has_changes
    assert revision(control_services) == before + 1


def test_what_was_declared_is_there(control_services: ControlServices) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    tenant = control_services.tenants.show(OPERATOR, "acme")
    assert (tenant.plan, tenant.contacts, tenant.notices) == ("free", ("Ops@acme.example",), False)
    assert (tenant.client_id, tenant.metadata) == ("crm-1", {"crm": "4711"})
    domain = control_services.domains.show(OPERATOR, "bücher.example")
    assert (domain.state, domain.mode, domain.kind) == ("pending", "send-receive", "custom")
    keys = {(key.domain, key.state) for key in control_services.keys.list(OPERATOR)}
    assert {name for name, _ in keys} >= {domain.name, "s1.mail.xn--bcher-kva.example"}
    shard = control_services.shards.show(OPERATOR, "s1.mail.xn--bcher-kva.example")
    assert (shard.route, shard.streams, shard.weight) == (
        "smtp://192.0.2.25:25",
        ("agent", "transactional"),
        5,
    )
    assert (shard.sign, shard.source, shard.domain) == (True, "out1.gatepost.test", domain.name)
    paused = control_services.shards.show(OPERATOR, "s2.mail.acme-staging.trial.gatepost.test")
    assert (paused.state, paused.route) == ("paused", "capture:")
    gold = control_services.workspaces.show(OPERATOR, "gold")
    assert (gold.tenant_id, gold.policy, gold.location, gold.patterns) == (
        None,
        "strict",
        "eu",
        ("*.gold.example",),
    )
    assert control_services.workspaces.show(OPERATOR, "main").is_default
    assert control_services.lists.show(OPERATOR, "rivals").items == 2


def test_keys_are_real_ones_of_their_own(control_services: ControlServices) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    keys = control_services.keys.list(OPERATOR)
    assert not [key for key in keys if "rehearsed" in key.record_value]


def test_only_what_a_file_says_is_changed(control_services: ControlServices) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    plan = apply(
        control_services,
        '[[tenants]]\nname = "acme"\nplan = "standard"\n[[tenants.shards]]\n'
        'name = "s1.mail.xn--bcher-kva.example"\nweight = 7\nroute = "mx"\n',
    )
    assert told(plan) == [
        ("tenant", None, "acme", "update"),
        ("shard", "acme", "s1.mail.xn--bcher-kva.example", "update"),
    ]
    assert [(one.field, one.before, one.after) for one in plan.changes[1].fields] == [
        ("weight", "5", "7"),
        ("route", "smtp://192.0.2.25:25", "mx"),
    ]
    tenant = control_services.tenants.show(OPERATOR, "Acme")
    assert (tenant.plan, tenant.contacts, tenant.client_id) == ("standard", ("Ops@acme.example",), "crm-1")
    shard = control_services.shards.show(OPERATOR, "s1.mail.xn--bcher-kva.example")
    assert (shard.weight, shard.streams, shard.sign) == (7, ("agent", "transactional"), True)


def test_lists_change_by_what_differs(control_services: ControlServices) -> None:
    many = ", ".join(f'"d{number}.example"' for number in range(2_500))
    text = '[[lists]]\nname = "big"\nkind = "domain"\nitems = [{}]\n'
    apply(control_services, text.format(many))
    assert control_services.lists.show(OPERATOR, "big").items == 2_500
    (change,) = apply(control_services, text.format('"d7.example", "new.example"')).changes
    assert change.action == "update"
    assert control_services.lists.show(OPERATOR, "big").items == 2


def test_a_routes_password_is_neither_taken_nor_lost(control_services: ControlServices) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    name = "s1.mail.xn--bcher-kva.example"
    control_services.shards.route(OPERATOR, name, "smtps://user:hush-hush@relay.example:465")
    exported = control_services.declarations.export(OPERATOR)
    texts = "".join(text for _, text in exported)
    assert "hush-hush" not in texts
    assert "gatepost shard route" in texts
    assert not control_services.declarations.plan(OPERATOR, exported).has_changes
    shard = f'[[tenants]]\nname = "Acme"\n[[tenants.shards]]\nname = "{name}"\nroute = '
    assert not apply(control_services, shard + '"smtps://relay.example"\nweight = 5\n').has_changes
    assert control_services.shards.show(OPERATOR, name).has_credentials
    (problem,) = problems_of(control_services, shard + '"smtps://user:hush-hush@relay.example"\n')
    assert problem[:3] == ("f0.toml", 5, "tenants[0].shards[0].route")
    assert "hush" not in problem[3]
    apply(control_services, shard + '"smtps://other.example"\n')
    assert not control_services.shards.show(OPERATOR, name).has_credentials


def test_prune_lists_first_and_reaches_only_what_files_speak_of(control_services: ControlServices) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    text = (
        '[[tenants]]\nname = "Acme"\n[[tenants.shards]]\nname = "s1.mail.xn--bcher-kva.example"\n'
        '[[lists]]\nname = "other"\nkind = "tld"\n'
    )
    assert not [one for one in apply(control_services, text).changes if one.action == "delete"]
    planned = control_services.declarations.plan(OPERATOR, [("one.toml", text)], prune=True)
    assert told(planned) == [
        ("shard", "Acme", "s2.mail.acme-staging.trial.gatepost.test", "delete"),
        ("list", None, "rivals", "delete"),
    ]
    assert control_services.lists.show(OPERATOR, "rivals").items == 2
    assert apply(control_services, text, prune=True) == planned
    with control_services.writes.view() as session:
        states = dict(session.execute(sa.select(ShardRow.name, ShardRow.state)).all())
    assert states["s2.mail.acme-staging.trial.gatepost.test"] == "retired"
    assert states["bounce.mx.gatepost.test"] == "active"
    assert control_services.lists.show(OPERATOR, "friends").items == 1
    assert not apply(control_services, text, prune=True).has_changes


def test_prune_lets_things_go_as_their_commands_do(control_services: ControlServices) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    apply(control_services, '[[tenants]]\nname = "Globex"\n[[tenants.domains]]\nname = "globex.example"\n')
    text = (
        '[[tenants]]\nname = "Globex"\n[[tenants.domains]]\nname = "other.example"\n'
        '[[tenants.workspaces]]\nname = "own"\n'
    )
    assert told(apply(control_services, text, prune=True)) == [
        ("workspace", "Globex", "own", "create"),
        ("domain", "Globex", "other.example", "create"),
        ("domain", "Globex", "globex.example", "delete"),
        ("tenant", None, "Acme", "delete"),
    ]
    assert control_services.tenants.show(OPERATOR, "Acme").purge_at is not None
    assert control_services.tenants.show(OPERATOR, "platform").purge_at is None
    assert control_services.domains.show(OPERATOR, "globex.example").purge_at is not None
    assert not apply(control_services, text, prune=True).has_changes
    (tenant,) = problems_of(control_services, '[[tenants]]\nname = "Acme"\nplan = "free"\n')
    (domain,) = problems_of(control_services, text.replace("other.", "globex."))
    assert "being deleted" in tenant[3]
    assert "being deleted" in domain[3]


def test_what_is_in_use_is_not_pruned(control_services: ControlServices) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    text = '[[tenants]]\nname = "Acme"\n[[tenants.domains]]\nname = "new.example"\n'
    with pytest.raises(InvalidDeclarations, match=r"s1\.mail\.xn--bcher-kva\.example"):
        apply(control_services, text, prune=True)


def test_mistakes_of_what_is_there_come_all_at_once_with_their_lines(
    control_services: ControlServices,
) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    found = problems_of(
        control_services,
        '[[workspaces]]\nname = "gold"\nenvironment = "staging"\n\n[[workspaces]]\nname = "new"\npolicy = "none"\n',
        '[[tenants]]\nname = "Globex"\nplan = "diamond"\n[[tenants.domains]]\nname = "x.example"\n\n'
        '[[tenants]]\nname = "Acme"\n[[tenants.shards]]\nname = "s1.mail.globex.example"\nroute = "mx"\n'
        'environment = "staging"\n[[tenants.domains]]\nname = "co.uk"\n',
    )
    assert [(file, line, key) for file, line, key, _ in found] == [
        ("f0.toml", 3, "workspaces[0].environment"),
        ("f0.toml", 7, "workspaces[1].policy"),
        ("f1.toml", 3, "tenants[0].plan"),
        ("f1.toml", 11, "tenants[1].shards[0].route"),
        ("f1.toml", 14, "tenants[1].domains[0].name"),
    ]
    messages = [message for *_, message in found]
    assert "never changes" in messages[0]
    assert "; allowed: bulk, default, " in messages[1]
    assert "no plan 'diamond'" in messages[2]
    assert "never leaves" in messages[3]
    assert "public suffix" in messages[4]


def test_a_mistake_says_what_is_allowed_in_its_place(control_services: ControlServices) -> None:
    text = (
        '[[tenants]]\nname = "Globex"\nplan = "stadnard"\n[[tenants.workspaces]]\nname = "own"\n'
        'location = "moon"\npolicy = "nosuch"\n'
        '[[sources]]\nhelo = "out.gatepost.test"\nipv4 = "192.0.2.9"\nplans = ["free", "nosuch"]\n'
        '[[workspaces]]\nname = "a"\nenvironment = "prod"\n'
    )
    with pytest.raises(InvalidDeclarations) as refused:
        control_services.declarations.plan(OPERATOR, [("x.toml", text)])
    found = {one.key: one for one in refused.value.problems}
    plans = ", ".join(one.name for one in control_services.plans.list(OPERATOR))
    policies = ", ".join(one.name for one in control_services.policies.list(OPERATOR))
    assert {key: (one.line, one.allowed) for key, one in found.items()} == {
        "tenants[0].plan": (3, plans),
        "tenants[0].workspaces[0].location": (6, "default, eu"),
        "tenants[0].workspaces[0].policy": (7, policies),
        "sources[0].plans": (11, plans),
        "workspaces[0].environment": (14, '"production" or "staging" or "development"'),
    }
    said = str(found["tenants[0].plan"])
    assert said == (
        "x.toml:3: tenants[0].plan: There is no plan 'stadnard' (did you mean \"standard\"?); "
        f"allowed: {plans}"
    )


def test_a_refused_tenant_does_not_hide_the_mistakes_of_what_is_its_own(
    control_services: ControlServices,
) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    text = (
        '[[tenants]]\nname = "Globex"\nplan = "diamond"\nclient_id = "crm-1"\nplam = 1\n'
        '[[tenants.workspaces]]\nname = "w"\npolicy = "nosuch"\n[[tenants.domains]]\nname = "co.uk"\n'
    )
    assert [(line, key) for _, line, key, _ in problems_of(control_services, text)] == [
        (3, "tenants[0].plan"),
        (4, "tenants[0].client_id"),
        (5, "tenants[0].plam"),
        (8, "tenants[0].workspaces[0].policy"),
        (10, "tenants[0].domains[0].name"),
    ]


def test_who_uses_a_document_with_a_mistake_is_not_blamed(control_services: ControlServices) -> None:
    uses = (
        '[[tenants]]\nname = "T"\nplan = "small"\n[[tenants.workspaces]]\nname = "w"\npolicy = "strict"\n'
        "[[sources]]\n" + 'helo = "o.gatepost.test"\nipv4 = "192.0.2.9"\nplans = ["small"]\n'
    )
    for wrong in ("[limits]\nmessage_bytes = false\n", 'extends = "nowhere"\n'):
        files = [
            ("t/policies/strict.toml", wrong),
            ("t/policies/plans/small.toml", "[limits]\n"),
            ("t/x.toml", uses),
        ]
        with pytest.raises(InvalidDeclarations) as refused:
            control_services.declarations.plan(OPERATOR, files)
        assert [one.file for one in refused.value.problems] == ["t/policies/strict.toml"]
        assert refused.value.problems[0].allowed


def test_what_is_asked_to_be_pruned_of_a_tenant_with_mistakes_is_left(
    control_services: ControlServices,
) -> None:
    control_services.tenants.create(OPERATOR, "Going")
    control_services.deletion.delete_tenant(OPERATOR, "Going")
    text = '[[tenants]]\nname = "Going"\n[[tenants.workspaces]]\nname = "w"\n'
    with pytest.raises(InvalidDeclarations) as refused:
        apply(control_services, text, prune=True)
    assert [one.key for one in refused.value.problems] == ["tenants[0].name"]


def test_policy_documents_and_declarations_are_one_transaction(control_services: ControlServices) -> None:
    files = [TREE[0], ("tree/x.toml", '[[tenants]]\nname = "Acme"\nplan = "diamond"\n')]
    with pytest.raises(InvalidDeclarations):
        control_services.declarations.apply(OPERATOR, files)
    assert "strict" not in {one.name for one in control_services.policies.list(OPERATOR)}
    wrong = [("tree/policies/x.toml", 'extends = "nowhere"\n'), files[1]]
    with pytest.raises(InvalidDeclarations) as refused:
        control_services.declarations.plan(OPERATOR, wrong)
    assert [one.file for one in refused.value.problems] == ["tree/policies/x.toml", "tree/x.toml"]


def test_what_was_only_planned_is_forgotten(control_services: ControlServices) -> None:
    for size in (1, 2):
        text = f'extends = "default"\n[limits]\nmessage_bytes = "{size} MiB"\n'
        control_services.declarations.plan(OPERATOR, [("policies/strict.toml", text)])
    control_services.declarations.apply(OPERATOR, [("policies/strict.toml", text.replace("2", "3"))])
    document = control_services.policies.policy_set().get("policy", "strict")
    assert document is not None
    assert document.settings["limits.message_bytes"] == 3 << 20


def test_declarations_are_the_operators(control_services: ControlServices) -> None:
    tenant = control_services.tenants.create(OPERATOR, "Acme")
    key = limited(tenant.id)
    for call in (control_services.declarations.plan, control_services.declarations.apply):
        with pytest.raises(Forbidden):
            call(key, TREE)
    with pytest.raises(Forbidden):
        control_services.declarations.export(key)


def test_an_export_changes_nothing_here_and_makes_the_same_elsewhere(
    control_services: ControlServices, make_database_url: Any, make_services: MakeServices
) -> None:
    control_services.declarations.apply(OPERATOR, TREE)
    control_services.tenants.create(OPERATOR, 'Quo"ted \\ Ünïted', contacts=["a@b.example"])
    control_services.sources.create(OPERATOR, helo="out2.gatepost.test", ipv6="2001:db8::1", plans=["free"])
    exported = control_services.declarations.export(OPERATOR)
    assert {path for path, _ in exported} >= {
        "platform.toml",
        "policies/strict.toml",
        "policies/plans/small.toml",
        "tenants/acme.toml",
        "tenants/quo-ted-united.toml",
    }
    before = revision(control_services)
    assert not control_services.declarations.plan(OPERATOR, exported).has_changes
    assert not control_services.declarations.apply(OPERATOR, exported, prune=True).has_changes
    assert revision(control_services) == before
    other = make_services(make_database_url("other", "control"))
    other.bootstrap()
    other.declarations.apply(OPERATOR, exported)
    assert other.declarations.export(OPERATOR) == exported
