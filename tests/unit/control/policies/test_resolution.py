"""What binds: the chain, the plan, the smaller of both, and which document it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.policies import EffectivePolicy, PolicySet, UnknownDocument
from gateway.control.policies.comparison import KeyChange, compare
from gateway.control.policies.documents import Document, Kind, read_document
from gateway.control.policies.packaged import packaged_documents
from gateway.control.records import TenantRecord, WorkspaceRecord


def document(text: str, name: str, kind: Kind = "policy") -> Document:
    """A document that must be right."""
    read = read_document(text, f"{name}.toml", kind, name)
    assert read.problems == ()
    assert read.document is not None
    return read.document


def resolved(policy: str, plan: str, *, shared: bool = True) -> EffectivePolicy:
    """A policy's text under a plan's."""
    documents = [document(policy, "p"), document(plan, "q", "plan")]
    return PolicySet(documents).resolve("p", "q", shared=shared)


def test_nearest_document_wins() -> None:
    """The child's value, else the parent's, else the plan's, else what is built in."""
    policies = PolicySet(
        [
            document("[limits]\nrecipients_per_message = 7\nmessage_bytes = 7", "base"),
            document('extends = "base"\n[limits]\nmessage_bytes = 9\n[sender]\nhide_client = true', "top"),
            document('[limits]\nconnections_per_account = 3\n[queue]\ngive_up = "1d"', "q", "plan"),
        ]
    )
    policy = policies.resolve("top", "q", shared=True)
    assert (policy.message_bytes.value, policy.message_bytes.source) == (9, "policy top")
    assert (policy.recipients_per_message.value, policy.recipients_per_message.source) == (7, "policy base")
    assert (policy.connections_per_account.value, policy.connections_per_account.source) == (3, "plan q")
    assert (policy.account.messages_per_day.value, policy.account.messages_per_day.source) == (
        None,
        "built in",
    )
    assert policy.sender.hide_client is True
    assert policy.queue.give_up_seconds == 86_400
    assert [one.source for one in policy.documents] == ["policy top", "policy base", "plan q"]
    assert policies.resolve("top", "q", shared=True) is policy


LIMITS = st.one_of(st.none(), st.just("unlimited"), st.integers(0, 5))


@given(LIMITS, LIMITS, st.booleans())
def test_smaller_limit_binds(mine: object, ceiling: object, shared: bool) -> None:
    """Unlimited is the largest; an omitted value is the other's."""

    def text(value: object) -> str:
        said = '"unlimited"' if value == "unlimited" else value
        return "" if value is None else f"[limits.account]\nmessages_per_day = {said}"

    limit = resolved(text(mine), text(ceiling), shared=shared).account.messages_per_day
    numbers = [value for value in (mine, ceiling) if isinstance(value, int)]
    assert limit.value == (min(numbers) if numbers else None)
    if isinstance(mine, int) and (not isinstance(ceiling, int) or mine <= ceiling):
        assert limit.source == "policy p"
    elif isinstance(ceiling, int):
        assert limit.source == "plan q"


def test_workspace_counter_of_a_shared_workspace_is_nobodys_plans() -> None:
    """One tenant's plan does not close a counter that others count on too."""
    plan = "[limits.workspace]\nmessages_per_day = 5\n[limits.tenant]\nmessages_per_day = 6"
    shared = resolved("[limits.workspace]\nmessages_per_day = 100", plan)
    assert shared.workspace.messages_per_day.value == 100
    assert shared.tenant.messages_per_day.value == 6
    owned = resolved("", plan, shared=False)
    assert owned.workspace.messages_per_day.value == 5


def test_effective_asks_by_tenant_and_workspace() -> None:
    """The names come from the records."""
    policies = PolicySet([document("", "p"), document("[limits]\nmessage_bytes = 5", "q", "plan")])
    tenant = TenantRecord("t", "acme", "q", "active", False, None)
    workspace = WorkspaceRecord("w", "main", None, "production", "default", "p", True)
    assert policies.effective(tenant, workspace).message_bytes.value == 5
    with pytest.raises(UnknownDocument, match="policy"):
        PolicySet.empty().effective(tenant, workspace)


def test_above_plan() -> None:
    """Only what the policy says itself can be above; said values that are not above are fine."""
    policies = PolicySet(
        [
            document("[limits.account]\nmessages_per_day = 10", "base"),
            document(
                'extends = "base"\n[limits]\nmessage_bytes = "unlimited"\nrecipients_per_message = 3', "p"
            ),
            document(
                "[limits]\nmessage_bytes = 5\nrecipients_per_message = 3\nconnections_per_account = 1\n"
                "[limits.account]\nmessages_per_day = 9",
                "q",
                "plan",
            ),
        ]
    )
    excesses = {excess.key: excess for excess in policies.above_plan("p", "q")}
    assert set(excesses) == {"limits.message_bytes", "limits.account.messages_per_day"}
    assert excesses["limits.account.messages_per_day"].policy.source == "policy base"


def test_blocked_attachments_add_up_with_the_plans() -> None:
    """A policy cannot open what the plan closes; in a chain the nearest list counts."""
    policies = PolicySet(
        [
            document("[limits.attachments]\nblocked = ['*.a']", "base"),
            document("extends = 'base'\n[limits.attachments]\nblocked = ['*.b']", "p"),
            document("[limits.attachments]\nblocked = ['*.b', '*.c']", "q", "plan"),
        ]
    )
    blocked = policies.resolve("p", "q", shared=True).attachments.blocked
    assert [(one.pattern.text, one.source) for one in blocked] == [("*.b", "policy p"), ("*.c", "plan q")]


def rule(name: str, action: str = "hold", direction: str = "outbound") -> str:
    """A rule's text."""
    return f'[[rules]]\nname = "{name}"\ndirection = "{direction}"\naction = "{action}"\nall = []\n'


def test_order_of_rules() -> None:
    """The plan's first, then a policy's own before the inherited; the same name hides."""
    policies = PolicySet(
        [
            document(rule("inherited") + rule("same", "reject"), "base"),
            document(
                "extends = 'base'\n" + rule("own") + rule("same") + rule("in", direction="inbound"), "p"
            ),
            document(rule("plan's"), "q", "plan"),
        ]
    )
    policy = policies.resolve("p", "q", shared=True)
    assert [(one.name, one.action) for one in policy.outbound_rules] == [
        ("plan's", "hold"),
        ("own", "hold"),
        ("same", "hold"),
        ("inherited", "hold"),
    ]
    assert [one.name for one in policy.inbound_rules] == ["in"]


def test_streams() -> None:
    """Merged key by key; a stream without its own time has the common one, one nobody names is plain."""
    text = '[queue]\ngive_up = "2d"\nstreams = { news = { weight = 2 }, transactional = { give_up = "1h" } }'
    queue = resolved(text, "[queue]\ntenant_weight = 5").queue
    assert (queue.stream("news").weight, queue.stream("news").give_up_seconds) == (2, 172_800)
    assert (queue.stream("transactional").weight, queue.stream("transactional").give_up_seconds) == (
        10,
        3_600,
    )
    assert (queue.stream("other").weight, queue.stream("other").give_up_seconds) == (1, 172_800)
    assert queue.tenant_weight == 5
    plain = resolved("", "").queue
    assert plain.give_up_seconds == 3 * 86_400
    assert plain.stream("transactional").give_up_seconds == 8 * 3_600


def test_circles_end() -> None:
    """Documents that extend each other are refused, not followed for ever."""
    policies = PolicySet([document("extends = 'b'", "a"), document("extends = 'a'", "b")])
    with pytest.raises(ValueError, match="a -> b -> a"):
        policies.chain("policy", "a")


def test_packaged_documents_go_together() -> None:
    """Each policy resolves under each plan; the standard plan and the default policy limit no sending."""
    policies = PolicySet(packaged_documents())
    for one in policies.documents:
        if one.kind == "policy":
            for plan in ("trial", "free", "standard", "enterprise"):
                policies.resolve(one.name, plan, shared=True)
    effective = policies.resolve("default", "standard", shared=False)
    for scope in (effective.account, effective.tenant, effective.workspace):
        assert scope.messages_per_day.value is None
        assert scope.messages_per_hour.value is None
        assert scope.messages_per_minute.value is None
        assert scope.messages_per_month.value is None
        assert scope.recipients_per_day.value is None
        assert scope.first_time_recipients_per_day.value is None
    for plan in ("trial", "free", "standard", "enterprise"):
        assert policies.above_plan("default", plan) == ()
    for policy in ("trial", "free", "standard", "bulk", "staging", "development"):
        assert policies.above_plan(policy, "standard") == ()
    assert policies.above_plan("free", "free") == ()
    assert policies.above_plan("trial", "trial") == ()


def test_comparison() -> None:
    """Key by key, as documents write it; comments change the text only."""
    before = document('[limits]\nmessage_bytes = "1 MiB"\nrecipients_per_message = 3\n' + rule("r"), "p")
    after = document(
        'extends = "q"\n[limits]\nmessage_bytes = "unlimited"\n[queue]\ngive_up = "36h"\n'
        + rule("r", "reject"),
        "p",
    )
    change = compare(before, after)
    assert (change.change, change.version) == ("changed", 1)
    keys = {one.key: one for one in change.keys}
    assert keys["extends"] == KeyChange("extends", None, "q")
    assert keys["limits.message_bytes"] == KeyChange("limits.message_bytes", "1 MiB", "unlimited")
    assert keys["limits.recipients_per_message"] == KeyChange("limits.recipients_per_message", "3", None)
    assert keys["queue.give_up"] == KeyChange("queue.give_up", None, "1d12h")
    assert set(keys) == {
        "extends",
        "limits.message_bytes",
        "limits.recipients_per_message",
        "queue.give_up",
        'rules."r"',
    }
    assert compare(before, before).change == "unchanged"
    commented = compare(before, document(before.text + "# a comment\n", "p"))
    assert (commented.change, commented.keys) == ("changed", ())
    assert compare(None, before).change == "new"
