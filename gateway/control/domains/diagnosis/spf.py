"""SPF (RFC 7208): the records of shards, and what is wrong with a customer's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gateway.control.domains.diagnosis.verdict import Verdict, listed, quotes_in, unquoted

_MOST_LOOKUPS = 10
_COUNTED = re.compile(r"[-+~?]?(include|a|mx|ptr|exists|redirect)(?=[:=/]|$)", re.IGNORECASE)
_NESTED = re.compile(r"[-+~?]?(?:include:|redirect=)([A-Za-z0-9._-]+)$", re.IGNORECASE)


def judge_spf(expected: str, answers: Sequence[str]) -> Verdict:
    """One SPF record with the same terms in the same order."""
    records = spf_records(answers)
    if len(records) > 1:
        return Verdict(False, _two(len(records)))
    if records and records[0].lower().split() == expected.lower().split():
        return Verdict(True)
    if records:
        return Verdict(
            False, f"Another SPF record stands here: {listed(records)}. Enter the value from here."
        )
    quoted = next((quotes_in(text) for text in answers if spf_records([unquoted(text)])), None)
    return Verdict(False, quoted or f"No SPF record is among the texts: {listed(answers)}.")


def spf_records(answers: Sequence[str]) -> list[str]:
    """The SPF records among texts (§4.5)."""
    return [text for text in answers if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def spf_remark(domain: str, answers: Sequence[str], included: Mapping[str, Sequence[str]]) -> str | None:
    """What breaks a customer's own SPF, in a sentence; None if nothing is seen.

    `included`: the texts of names it leads to, as far as they were asked for.
    """
    records = spf_records(answers)
    if len(records) > 1:
        return f"{domain}: {_two(len(records))}"
    if not records:
        return None
    count = _lookups(records[0], included, {domain})
    if count <= _MOST_LOOKUPS:
        return None
    return (
        f"{domain}: its SPF record needs {count} or more look-ups, and receivers stop at {_MOST_LOOKUPS} "
        "(permerror). Remove includes that are no longer used; Gatepost's shards need none."
    )


def spf_leads(answers: Sequence[str]) -> tuple[str, ...]:
    """The names whose SPF records count with this one's, in order."""
    terms = [term for record in spf_records(answers)[:1] for term in record.split()[1:]]
    found = (_NESTED.fullmatch(term) for term in terms)
    return tuple(dict.fromkeys(match[1].lower().rstrip(".") for match in found if match is not None))


def _lookups(record: str, included: Mapping[str, Sequence[str]], above: set[str]) -> int:
    count = sum(_COUNTED.match(term) is not None for term in record.split()[1:])
    for name in spf_leads([record]):
        nested = spf_records(included.get(name, ()))
        if nested and name not in above and count <= _MOST_LOOKUPS:
            count += _lookups(nested[0], included, above | {name})
    return count


def _two(count: int) -> str:
    return (
        f"There are {count} SPF records, which receivers take for an error (permerror). "
        "Merge them into one that begins with v=spf1 once."
    )
