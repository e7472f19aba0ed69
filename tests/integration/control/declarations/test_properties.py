"""Whatever is declared: a second plan is empty, and so is one of what is exported."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.control.declarations.values import Value
from gateway.control.declarations.writing import table
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR

LABEL = st.text("abcdefgh", min_size=3, max_size=8)
NAME = st.text(st.characters(categories=("L", "N", "P")), min_size=2, max_size=12)
PAIRS = st.dictionaries(LABEL, NAME, max_size=2)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Value]]:
    """Some of these fields."""
    return st.fixed_dictionaries({}, optional={**fields, "metadata": PAIRS})


TENANT = some(
    plan=st.sampled_from(["trial", "free", "standard", "enterprise"]),
    contacts=st.lists(LABEL.map(lambda label: f"{label}@contact.example"), unique=True, max_size=3).map(
        tuple
    ),
    notices=st.booleans(),
)
WORKSPACE = some(
    environment=st.sampled_from(["production", "staging"]),
    location=st.sampled_from(["default", "eu"]),
    default=st.just(True),
)
DOMAIN = some(mode=st.sampled_from(["send", "send-receive"]))
SHARD = some(
    route=st.sampled_from(["mx", "capture:", "smtp://192.0.2.1:2525", "smtps://relay.example"]),
    weight=st.integers(1, 1000),
    streams=st.lists(LABEL, unique=True, max_size=3).map(tuple),
    sign=st.booleans(),
    state=st.sampled_from(["active", "paused"]),
)
LIST = some(
    items=st.lists(LABEL.map(lambda label: f"{label}.example"), max_size=4).map(tuple),
    description=NAME,
)


@st.composite
def trees(draw: st.DrawFn) -> str:
    """A file with a tenant or two and what is theirs; names repeat from example to example."""
    parts = []
    for label in draw(st.lists(LABEL, min_size=1, max_size=2, unique=True)):
        trial = draw(st.sampled_from([(), ("production",), ("production", "development")]))
        parts.append(table("tenants", {"name": label, **draw(TENANT), "trial": trial}))
        workspace = draw(WORKSPACE)
        # An environment never changes: a name that comes again must have the same.
        name = f"{draw(NAME)} {workspace.get('environment')}"
        parts.append(table("tenants.workspaces", {"name": name, **workspace}))
        parts.append(table("tenants.domains", {"name": f"{label}.example", **draw(DOMAIN)}))
        parts.append(table("tenants.shards", {"name": f"s1.mail.{label}.example", **draw(SHARD)}))
        parts.append(table("tenants.lists", {"name": label, "kind": "domain", **draw(LIST)}))
    return "\n".join(parts)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(trees())
def test_what_was_applied_or_exported_changes_nothing(control_services: ControlServices, text: str) -> None:
    files = [("tree.toml", text)]
    planned = control_services.declarations.plan(OPERATOR, files)
    assert control_services.declarations.apply(OPERATOR, files) == planned
    assert not control_services.declarations.plan(OPERATOR, files).has_changes
    exported = control_services.declarations.export(OPERATOR)
    assert not control_services.declarations.plan(OPERATOR, exported, prune=True).has_changes
