"""Messages, identities and policies to decide about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.control.policies import EffectivePolicy, PolicySet
from gateway.control.policies.documents import Document, Kind, read_document
from gateway.control.records import AccountRecord, DomainRecord, Identity, TenantRecord, WorkspaceRecord
from gateway.mail.address import Mailbox, parse_mailbox
from gateway.mail.envelope import Envelope, RcptCommand
from gateway.outgoing.policy import Ceilings, Decision, Facts, decide, gather_facts

ADDRESS = "app@acme.example"
ALIAS = "ceo@acme.example"
AT = 1_800_000_000.0  # 2027-01-15T08:00Z, a Friday

TENANT = TenantRecord("tenant-acme", "acme", "none", "active", False, None)
WORKSPACE = WorkspaceRecord("workspace-1", "main", "tenant-acme", "production", "default", "none", True)
ACCOUNT = AccountRecord(
    id="account-1",
    tenant_id="tenant-acme",
    workspace_id="workspace-1",
    address=ADDRESS,
    aliases=(ALIAS, "app@pending.example"),
    display_name=None,
    status="active",
    smtp=True,
    imap=False,
    epoch=1,
    home_location="default",
    created_at=0.0,
)
DOMAINS = {
    "acme.example": (
        DomainRecord("d0", "acme.example", "tenant-other", "production", "custom", "pending", False),
        DomainRecord("d1", "acme.example", "tenant-acme", "production", "custom", "active", False),
    ),
    "pending.example": (
        DomainRecord("d2", "pending.example", "tenant-acme", "production", "custom", "pending", False),
    ),
    "staging.example": (
        DomainRecord("d3", "staging.example", "tenant-acme", "staging", "custom", "active", False),
    ),
    "victim.example": (
        DomainRecord("d4", "victim.example", "tenant-other", "production", "custom", "active", False),
    ),
}


def domains(name: str) -> Sequence[DomainRecord]:
    """The claims to a name."""
    return DOMAINS.get(name, ())


def document(text: str, kind: Kind = "policy", name: str = "test") -> Document:
    """A document that must be right."""
    read = read_document(text, f"{name}.toml", kind, name)
    assert read.problems == ()
    assert read.document is not None
    return read.document


def policy(text: str = "", plan: str = "") -> EffectivePolicy:
    """What a policy's text resolves to under a plan's."""
    documents = [document(text), document(plan, "plan")]
    return PolicySet(documents).resolve("test", "test", shared=True)


def identity(text: str = "", **account: object) -> Identity:
    """The identity of ACCOUNT under a policy's text."""
    return Identity(
        replace(ACCOUNT, **account),  # type: ignore[arg-type]
        TENANT,
        WORKSPACE,
        policy(text),
        None,
        1,
    )


def message(
    *header: str | bytes, body: bytes = b"Hello.\r\n", author: str | None = f"From: {ADDRESS}"
) -> bytes:
    """A message with these header lines after From."""
    lines = [author] if author is not None else []
    octets = [line.encode() if isinstance(line, str) else line for line in (*lines, *header)]
    return b"".join(line + b"\r\n" for line in octets) + b"\r\n" + body


def envelope(
    sender: str | None = ADDRESS, recipients: Sequence[str] = ("to@there.example",), *, smtputf8: bool = False
) -> Envelope:
    """An envelope; `sender` None is `<>`."""
    parse: Callable[[str], Mailbox] = lambda text: parse_mailbox(text, smtputf8=True)  # noqa: E731
    path = parse(sender) if sender is not None else None
    return Envelope(path, tuple(RcptCommand(parse(one)) for one in recipients), smtputf8=smtputf8)


def facts(content: bytes, said: Envelope | None = None, **other: object) -> Facts:
    """The facts about a message."""
    settings: dict[str, object] = {"client_address": "192.0.2.7", "at": AT, "ceilings": Ceilings()}
    return gather_facts(content, said or envelope(), **{**settings, **other})  # type: ignore[arg-type]


def judge(
    content: bytes, said: Envelope | None = None, who: Identity | None = None, **other: object
) -> Decision:
    """The decision about a message."""
    return decide(facts(content, said, **other), who or identity(), domains)


def refusal(decision: Decision) -> tuple[str, str]:
    """The rule and the reply of a rejection."""
    assert decision.action == "reject"
    assert decision.reply is not None
    return decision.rule, str(decision.reply)
