"""From what DNS said of a record to its state, and to a hint for the mistakes that people make. Pure.

    view = diagnose(record, observation, beside)

`beside` are answers to some of the questions of `questions_beside`, which tell more of what went wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from gateway.control.domains.diagnosis.absence import where_else, why_absent
from gateway.control.domains.diagnosis.hosts import judge_alias, judge_mx
from gateway.control.domains.diagnosis.keys import judge_key
from gateway.control.domains.diagnosis.spf import judge_spf
from gateway.control.domains.diagnosis.texts import (
    judge_dmarc,
    judge_ownership,
    judge_text,
    judge_tls_reports,
)
from gateway.control.domains.diagnosis.verdict import Verdict, listed
from gateway.control.domains.view import RecordView
from gateway.system.observation import Observation, Question

_TEXTS: Mapping[str, Callable[[str, Sequence[str]], Verdict]] = MappingProxyType(
    {
        "ownership": judge_ownership,
        "dkim": judge_key,
        "dmarc": judge_dmarc,
        "spf": judge_spf,
        "tls-rpt": judge_tls_reports,
    }
)
_MOST_FOUND = 20
_LONGEST_FOUND = 1_000


def diagnose(record: RecordView, observed: Observation, beside: Sequence[Observation] = ()) -> RecordView:
    """The record with its state, what was found, and a hint. Never raises; says nothing of propagation."""
    if observed.outcome == "away":
        return replace(record, state="unreachable", found=(), hint=_unreachable(observed))
    if not observed.answers:
        return replace(record, state="missing", found=(), hint=why_absent(record, observed, beside))
    verdict = _judged(record, observed.answers, beside)
    found = tuple(answer[:_LONGEST_FOUND] for answer in observed.answers[:_MOST_FOUND])
    return replace(record, state="valid" if verdict.valid else "invalid", found=found, hint=verdict.hint)


def questions_beside(record: RecordView, observed: Observation, domain: str) -> tuple[Question, ...]:
    """What else to ask about a record that is not as it should be, the most telling first.

    `domain`: the one that the record is for.
    """
    if observed.outcome == "away":
        return ()
    if not observed.answers:
        return where_else(record, observed, domain)
    if record.type != "MX":
        return ()
    ours = record.value.rpartition(" ")[2].lower()
    hosts = (answer.partition(" ")[2] for answer in observed.answers)
    return tuple(Question(host, "CNAME") for host in hosts if host and host != ours)


def _judged(record: RecordView, answers: Sequence[str], beside: Sequence[Observation]) -> Verdict:
    if record.type == "CNAME":
        return judge_alias(record.value, answers)
    if record.type == "MX":
        return judge_mx(record.value, answers, beside)
    if record.type == "TXT":
        return _TEXTS.get(record.purpose, judge_text)(record.value, answers)
    same = record.value.lower().rstrip(".") in (answer.lower().rstrip(".") for answer in answers)
    return Verdict(same, None if same else f"Something else stands here: {listed(answers)}.")


def _unreachable(observed: Observation) -> str:
    whose = f"The name servers of {observed.zone}" if observed.zone else "The name servers"
    return (
        f"{whose} gave no usable answer: {observed.reason or 'no answer in time'}. Nothing is changed by it."
    )
