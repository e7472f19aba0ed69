"""From documents to what binds: the chain of `extends`, then the plan, then what is built in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from gateway.control.policies.documents import Document, Kind
from gateway.control.policies.effective import (
    BUILT_IN,
    AttachmentLimits,
    Blocked,
    DocumentVersion,
    EffectivePolicy,
    Limit,
    QueueRules,
    Residency,
    Retention,
    ScopeLimits,
    SenderRules,
    Sharding,
    StreamRules,
)
from gateway.control.policies.keys import BUILT_IN_STREAMS, KEYS, SCOPE_LIMITS, STREAMS
from gateway.control.policies.patterns import parse_glob
from gateway.control.policies.readers import Value
from gateway.control.policies.rules import Rule

if TYPE_CHECKING:
    from gateway.control.records import TenantRecord, WorkspaceRecord

CHAIN_LIMIT = 16
"""Documents in one chain of `extends`."""

_WORKSPACE_LIMITS = "limits.workspace."

Chain = tuple[Document, ...]
"""A document, the one it extends, and so on."""


class UnknownDocument(LookupError):
    """A workspace, tenant or document names a policy or plan that is not there."""

    def __init__(self, kind: Kind, name: str) -> None:
        super().__init__(f'there is no {kind} "{name}"')
        self.kind = kind
        self.name = name


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit of a policy that is above the plan's."""

    key: str
    policy: Limit
    plan: Limit


class PolicySet:
    """All policies and plans in force; never changed once made. Resolves each pair of them once."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents: Mapping[tuple[Kind, str], Document] = {
            (document.kind, document.name): document for document in documents
        }
        self._resolved: dict[tuple[str, str, bool], EffectivePolicy] = {}

    @classmethod
    def empty(cls) -> PolicySet:
        """Without any document: resolves nothing."""
        return cls(())

    @property
    def documents(self) -> tuple[Document, ...]:
        """Every document, plans first, by name."""
        return tuple(document for _, document in sorted(self._documents.items(), key=lambda item: item[0]))

    def get(self, kind: Kind, name: str) -> Document | None:
        """A document by its name."""
        return self._documents.get((kind, name))

    def with_documents(self, documents: Iterable[Document]) -> PolicySet:
        """A set in which `documents` replace those of the same names."""
        return PolicySet([*self._documents.values(), *documents])

    def chain(self, kind: Kind, name: str) -> Chain:
        """The document and those it extends, nearest first.

        Raises UnknownDocument; ValueError where the chain comes back to itself or is too long.
        """
        chain: list[Document] = []
        next_name: str | None = name
        while next_name is not None:
            document = self._documents.get((kind, next_name))
            if document is None:
                raise UnknownDocument(kind, next_name)
            if any(one is document for one in chain) or len(chain) == CHAIN_LIMIT:
                names = " -> ".join([*(one.name for one in chain), next_name])
                raise ValueError(f"extends goes in a circle or over {CHAIN_LIMIT} documents: {names}")
            chain.append(document)
            next_name = document.extends
        return tuple(chain)

    def effective(self, tenant: TenantRecord, workspace: WorkspaceRecord) -> EffectivePolicy:
        """What binds an account of `tenant` in `workspace`. Raises UnknownDocument."""
        return self.resolve(workspace.policy, tenant.plan, shared=workspace.tenant_id is None)

    def resolve(self, policy: str, plan: str, *, shared: bool) -> EffectivePolicy:
        """The policy under the plan. Raises UnknownDocument.

        The smaller limit holds in any workspace. In a `shared` one `[limits.workspace]` of the plan says
        nothing: that counter is other tenants' too.
        """
        known = self._resolved.get((policy, plan, shared))
        if known is None:
            known = _resolve(self.chain("policy", policy), self.chain("plan", plan), shared)
            self._resolved[policy, plan, shared] = known
        return known

    def ceiling(self, plan: str, key: str) -> Limit | None:
        """What the plan, or one it extends, sets as a limit; None if nothing. Raises UnknownDocument."""
        return _find(self.chain("plan", plan), key)

    def above_plan(self, policy: str, plan: str) -> tuple[Excess, ...]:
        """The limits that the policy itself sets above the plan's: an error in a tenant's own workspace."""
        of_policy, of_plan = self.chain("policy", policy), self.chain("plan", plan)
        excesses = []
        for name in _limit_names():
            mine, ceiling = _find(of_policy, name), _find(of_plan, name)
            if mine is not None and ceiling is not None and _is_above(mine, ceiling):
                excesses.append(Excess(name, mine, ceiling))
        return tuple(excesses)


def _limit_names() -> tuple[str, ...]:
    return tuple(name for name, key in KEYS.items() if key.is_limit)


def _is_above(mine: Limit, ceiling: Limit) -> bool:
    return ceiling.value is not None and (mine.value is None or mine.value > ceiling.value)


def _find(chain: Chain, name: str) -> Limit | None:
    for document in chain:
        if name in document.settings:
            return Limit(cast("int | None", document.settings[name]), document.source)
    return None


def _limit(policy: Chain, plan: Chain, shared: bool, key: str) -> Limit:
    name = f"limits.{key}"
    mine = _find(policy, name)
    ceiling = None if shared and name.startswith(_WORKSPACE_LIMITS) else _find(plan, name)
    if mine is None:
        return ceiling or Limit(None)
    if ceiling is None or not _is_above(mine, ceiling):
        return mine
    return ceiling


class _Settings:
    """The settings that are no limits, from the nearest document that has them, and which that is."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.sources: dict[str, str] = {}

    def get(self, name: str, default: Value = None) -> Any:
        """The value. The grammar has checked its type."""
        for document in self._chain:
            if name in document.settings:
                self.sources[name] = document.source
                return document.settings[name]
        self.sources[name] = BUILT_IN
        return KEYS[name].default if name in KEYS else default

    def stream_names(self) -> set[str]:
        """Every stream that any document, or what is built in, speaks of."""
        keys = [name for document in self._chain for name in document.settings] + list(BUILT_IN_STREAMS)
        return {key.split(".")[2] for key in keys if key.startswith(STREAMS + ".")}


def _resolve(policy: Chain, plan: Chain, shared: bool) -> EffectivePolicy:
    settings = _Settings(policy + plan)
    limit = partial(_limit, policy, plan, shared)
    attachments = AttachmentLimits(
        limit("attachments.count"), limit("attachments.bytes"), _blocked(policy, plan)
    )
    rules = _rules(policy, plan)
    return EffectivePolicy(
        name=policy[0].name,
        version=policy[0].version,
        recipients_per_message=limit("recipients_per_message"),
        message_bytes=limit("message_bytes"),
        attachments=attachments,
        connections_per_account=limit("connections_per_account"),
        account=_scope(limit, "account"),
        tenant=_scope(limit, "tenant"),
        workspace=_scope(limit, "workspace"),
        sender=SenderRules(
            scope=settings.get("sender.scope"),
            bare_newlines=settings.get("sender.bare_newlines"),
            long_lines=settings.get("sender.long_lines"),
            hide_client=settings.get("sender.hide_client"),
        ),
        queue=_queue(settings),
        retention=Retention(
            inbox_seconds=settings.get("retention.inbox"),
            junk_seconds=settings.get("retention.junk"),
            records_seconds=settings.get("retention.records"),
        ),
        residency=Residency(settings.get("residency.location")),
        sharding=Sharding(settings.get("sharding.zone"), settings.get("sharding.names")),
        outbound_rules=tuple(rule for rule in rules if rule.direction == "outbound"),
        inbound_rules=tuple(rule for rule in rules if rule.direction == "inbound"),
        documents=tuple(DocumentVersion(document.source, document.version) for document in policy + plan),
        sources=settings.sources,
        limits_attachments=bool(
            attachments.blocked or attachments.count.value is not None or attachments.bytes.value is not None
        ),
    )


def _scope(limit: Callable[[str], Limit], scope: str) -> ScopeLimits:
    return ScopeLimits(**{name: limit(f"{scope}.{name}") for name in SCOPE_LIMITS})


def _queue(settings: _Settings) -> QueueRules:
    give_up = settings.get("queue.give_up")
    streams = {}
    for name in sorted(settings.stream_names()):
        key = f"{STREAMS}.{name}"
        weight = settings.get(f"{key}.weight", BUILT_IN_STREAMS.get(f"{key}.weight", 1))
        stream_give_up = settings.get(f"{key}.give_up", BUILT_IN_STREAMS.get(f"{key}.give_up"))
        streams[name] = StreamRules(weight, stream_give_up or give_up)
    return QueueRules(give_up, streams, settings.get("queue.tenant_weight"))


def _blocked(policy: Chain, plan: Chain) -> tuple[Blocked, ...]:
    """What the policy blocks and what the plan blocks: a policy cannot open what its plan has closed."""
    found: dict[str, Blocked] = {}
    for chain in (policy, plan):
        for document in chain:
            patterns = document.settings.get("limits.attachments.blocked")
            if isinstance(patterns, tuple):
                for pattern in patterns:
                    found.setdefault(pattern, Blocked(parse_glob(pattern), document.source))
                break
    return tuple(found.values())


def _rules(policy: Chain, plan: Chain) -> tuple[Rule, ...]:
    """The plan's rules first, so that no policy accepts what its plan refuses; then the policy's.

    In a chain a document's own rules come before those it inherits, and hide the ones of the same name.
    """
    found: list[Rule] = []
    for chain in (plan, policy):
        names: set[str] = set()
        for document in chain:
            found.extend(rule for rule in document.rules if rule.name not in names)
            names.update(rule.name for rule in document.rules)
    return tuple(found)
