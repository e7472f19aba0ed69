"""What was in force at a moment, worked out from audit entries and versions of documents. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.control.audit.entries import AuditView
from gateway.control.policies.description import DescribedValue, describe
from gateway.control.policies.documents import Document, Kind, restore_document
from gateway.control.policies.effective import DocumentVersion
from gateway.control.policies.problems import DocumentErrors
from gateway.control.policies.resolution import PolicySet, UnknownDocument

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """From `since` (seconds since 1970) on these were a resource's values; None: it was not there.

    `by` is who made them so, None where the audit has no entry for it.
    """

    since: float
    values: Values | None
    by: str | None = None


class Timeline:
    """Some values of one resource over time."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = _without_repeats(steps)
        self._times = [step.since for step in self.steps]

    @classmethod
    def of(cls, entries: Sequence[AuditView], keys: Sequence[str], now: Step | None) -> Timeline:
        """From a resource's entries, the oldest first; `now` are its values today, since it was made.

        Entries that do not tell all of `keys` say nothing about them; from one whose payload was erased to
        the next the values are taken from that one, or are unknown. `now` None: it is gone, its last entry
        tells since when.
        """
        steps: list[Step] = []
        unknown = True
        for entry in entries:
            before, after = _picked(entry.before, keys), _picked(entry.after, keys)
            if unknown and before is not None:
                # What the audit does not tell (any more) of the time before this entry.
                steps.append(Step(_begin(steps, now), before))
            erased = entry.before is None and entry.after is None
            if after is not None or entry.after is None:
                steps.append(Step(entry.at, after, entry.by))
                unknown = erased
        if unknown and now is not None:
            steps.append(Step(_begin(steps, now), now.values))
        if now is None and steps:
            steps.append(Step(entries[-1].at, None, entries[-1].by))
        return cls(steps)

    def at(self, moment: float) -> Values | None:
        """The values then; None: there was no such resource."""
        place = bisect_right(self._times, moment)
        return self.steps[place - 1].values if place else None

    def changes(self, since: float, until: float) -> list[float]:
        """When they changed, after `since` and before `until`."""
        return [time for time in self._times if since < time < until]


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of a document as it is kept, in force from `since` until the next."""

    kind: Kind
    name: str
    version: int
    text: str
    data: Mapping[str, Any]
    since: float


@dataclass(frozen=True, slots=True)
class PolicyThen:
    """A policy under a plan, resolved from the versions of then; `documents` are all that took part.

    `name` tells these versions from any others. `problem`: why it could not be resolved, if so.
    """

    policy: str
    plan: str
    shared: bool
    version: int | None
    documents: tuple[DocumentVersion, ...]
    values: tuple[DescribedValue, ...]
    rules: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def name(self) -> str:
        """Short and unique: `policy free@3, policy default@1, plan trial@2`."""
        if self.problem is not None:
            return f"policy {self.policy} under plan {self.plan}: {self.problem}"
        names = ", ".join(f"{one.source}@{one.version}" for one in self.documents)
        return f"{names} (shared workspace)" if self.shared else names


class PolicyHistory:
    """Every version of every document; resolves them as they stood at a moment."""

    def __init__(self, versions: Iterable[StoredVersion]) -> None:
        self._versions = sorted(versions, key=lambda one: (one.since, one.version))
        self._times = [one.since for one in self._versions]
        self._sets: dict[int, PolicySet] = {}
        self._documents: dict[tuple[Kind, str, int], Document] = {}

    def changes(self, since: float, until: float) -> list[float]:
        """When a document changed, after `since` and before `until`."""
        return sorted({time for time in self._times if since < time < until})

    def at(self, moment: float, policy: str, plan: str, *, shared: bool) -> PolicyThen:
        """The policy under the plan, as the documents stood then."""
        try:
            effective = self._set(moment).resolve(policy, plan, shared=shared)
        except (UnknownDocument, ValueError, DocumentErrors) as error:
            return PolicyThen(policy, plan, shared, None, (), (), problem=str(error))
        return PolicyThen(
            policy,
            plan,
            shared,
            effective.version,
            effective.documents,
            describe(effective),
            tuple(rule.name for rule in effective.rules),
        )

    def _set(self, moment: float) -> PolicySet:
        count = bisect_right(self._times, moment)
        if count not in self._sets:
            in_force = {(one.kind, one.name): one for one in self._versions[:count]}
            self._sets[count] = PolicySet(map(self._document, in_force.values()))
        return self._sets[count]

    def _document(self, stored: StoredVersion) -> Document:
        key = (stored.kind, stored.name, stored.version)
        if key not in self._documents:
            self._documents[key] = restore_document(*key, stored.text, stored.data)
        return self._documents[key]


def _begin(steps: Sequence[Step], now: Step | None) -> float:
    if steps:
        return steps[-1].since
    return now.since if now is not None else 0.0


def _picked(payload: Any, keys: Sequence[str]) -> Values | None:
    if not isinstance(payload, dict) or any(key not in payload for key in keys):
        return None
    return {key: payload[key] for key in keys}


def _without_repeats(steps: Iterable[Step]) -> tuple[Step, ...]:
    kept: list[Step] = []
    for step in steps:
        if not kept or kept[-1].values != step.values:
            kept.append(step)
    return tuple(kept)
