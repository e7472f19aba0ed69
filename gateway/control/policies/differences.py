"""What changes for an account when other documents bind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.control.policies.description import describe

if TYPE_CHECKING:
    from gateway.control.policies.effective import EffectivePolicy


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One key: its value before and after as documents write it, each with the document it comes from.

    None where there is no such value.
    """

    key: str
    before: str | None
    before_source: str | None
    after: str | None
    after_source: str | None


def differences(
    before: EffectivePolicy, after: EffectivePolicy, locations: tuple[str, str]
) -> tuple[ValueChange, ...]:
    """The limits, settings and rules that are not the same, in the order of docs/policies.md.

    `locations`: of the workspace before and after, where no document names one.
    """
    old, new = _values(before, locations[0]), _values(after, locations[1])
    found = []
    for key in dict.fromkeys((*old, *new)):
        had, has = old.get(key, (None, None)), new.get(key, (None, None))
        if had[0] != has[0]:
            found.append(ValueChange(key, *had, *has))
    return tuple(found)


def _values(policy: EffectivePolicy, location: str) -> dict[str, tuple[str, str]]:
    values: dict[str, tuple[str, str]] = {}
    for one in describe(policy):
        value, source = one.value, one.source
        if one.key in values:
            # What several documents block adds up.
            blocked, by = values[one.key]
            value, source = f"{blocked}, {value}", f"{by}, {source}"
        values[one.key] = (value, source)
    values.setdefault("residency.location", (location, "workspace"))
    for rule in policy.rules:
        values[f'rules."{rule.name}" ({rule.source})'] = (rule.action, rule.source)
    return values
