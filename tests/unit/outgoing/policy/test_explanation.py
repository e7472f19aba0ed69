"""Explaining: limits with their documents, and the decision that would be made."""

from __future__ import annotations

from dataclasses import replace

from gateway.control.policies import PolicySet
from gateway.mail.address import parse_mailbox
from gateway.outgoing.policy import Ceilings, Explanation, explain
from tests.unit.outgoing.policy.cases import ADDRESS, AT, document, domains, identity

WORKSPACE = """
[limits]
message_bytes = "5 MiB"
attachments = { blocked = ["*.exe"] }
[limits.account]
messages_per_day = 500
[[rules]]
name = "not at night"
all = [{ field = "hour", op = "greater", value = 20 }]
action = "hold"
"""
PLAN = """
[limits.account]
messages_per_day = 200
messages_per_month = "unlimited"
"""


def explained(sender: str = ADDRESS, size: int | None = None, at: float = AT) -> Explanation:
    """An explanation under WORKSPACE and PLAN."""
    policies = PolicySet([document(WORKSPACE, name="shared"), document(PLAN, "plan", "free")])
    who = replace(identity(), policy=policies.resolve("shared", "free", shared=True))
    return explain(
        who,
        domains,
        sender=parse_mailbox(sender),
        recipients=[parse_mailbox("to@there.example")],
        size=size,
        at=at,
        ceilings=Ceilings(),
    )


def test_limits_name_the_document_that_bound() -> None:
    """The smaller of policy and plan, and which of them it was."""
    values = {value.key: (value.value, value.source) for value in explained().values}
    assert values["limits.message_bytes"] == ("5 MiB", "policy shared")
    assert values["limits.account.messages_per_day"] == ("200", "plan free")
    assert values["limits.account.messages_per_month"] == ("unlimited", "plan free")
    assert values["limits.account.messages_per_hour"] == ("unlimited", "built in")
    assert values["limits.attachments.blocked"] == ('["*.exe"]', "policy shared")
    assert values["queue.streams.transactional.give_up"] == ("8h", "built in")
    assert values["sender.scope"] == ("address", "built in")


def test_accepted() -> None:
    """Every question is listed."""
    explanation = explained()
    assert explanation.decision.action == "accept"
    assert explanation.reply is None
    assert [step.rule for step in explanation.decision.steps][-1] == "policy shared: not at night"
    assert [rule.name for rule in explanation.rules] == ["policy shared: not at night"]
    assert [one.source for one in explanation.documents] == ["policy shared", "plan free"]


def test_refused_with_the_exact_reply() -> None:
    """Size and sender are decided as for real."""
    assert explained(size=5 * 1024 * 1024 + 1).reply == (
        "552 5.3.4 message of 5242881 octets is over the limit of 5242880 octets (policy shared)"
    )
    refused = explained("boss@victim.example")
    assert refused.reply is not None
    assert refused.reply.startswith("550 5.7.1 MAIL FROM boss@victim.example is not an identity")


def test_rules_see_the_time() -> None:
    """Thirteen hours later it is 21:00."""
    assert explained(at=AT + 13 * 3600).decision.action == "hold"
