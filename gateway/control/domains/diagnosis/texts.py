"""TXT records other than keys: the proof of ownership, DMARC, MTA-STS, TLS reports."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.control.domains.diagnosis.keys import key_tags
from gateway.control.domains.diagnosis.verdict import Verdict, listed, quotes_in, unquoted

_POLICIES = ("none", "quarantine", "reject")


def judge_ownership(expected: str, answers: Sequence[str]) -> Verdict:
    """Any of the texts may be the proof: others may have theirs at the same name."""
    if any(text.strip() == expected for text in answers):
        return Verdict(True)
    prefix, _, word = expected.partition("=")
    for text in answers:
        if unquoted(text) == expected and quotes_in(text):
            return Verdict(False, quotes_in(text))
        if re.sub(r"\s+", "", text) == expected:
            return Verdict(False, "White space stands inside the value. Enter it in one piece.")
        if text.strip().lower() == expected.lower():
            return Verdict(False, "The value differs in upper and lower case. Copy it from here.")
        if unquoted(text) == word:
            return Verdict(False, f"The value lacks its beginning, {prefix}=. Enter the whole value.")
    if any(text.strip().startswith(f"{prefix}=") for text in answers):
        return Verdict(
            False, "This is the word of another claim, or of an older one. Enter the one from here."
        )
    return Verdict(False, f"Something else stands here: {listed(answers)}. Add the value from here.")


def judge_dmarc(expected: str, answers: Sequence[str]) -> Verdict:
    """Any valid record will do: a customer's own is never to be replaced."""
    records = [text.strip() for text in answers if re.match(r"\s*v\s*=\s*dmarc1\b", text, re.IGNORECASE)]
    if len(records) > 1:
        return Verdict(
            False, f"There are {len(records)} DMARC records: receivers then apply none. Keep one of them."
        )
    if not records:
        quoted = next((hint for text in answers if (hint := quotes_in(text))), None)
        return Verdict(False, quoted or f"What stands here is no DMARC record: {listed(answers)}.")
    problem = _dmarc_problem(records[0])
    if problem is not None:
        return Verdict(False, f"{problem} Mend your record; nothing else of it has to change.")
    if key_tags(records[0]) == key_tags(expected):
        return Verdict(True)
    return Verdict(True, "Your own DMARC record stays as it is: any valid one will do.")


def judge_tls_reports(_: str, answers: Sequence[str]) -> Verdict:
    """Like DMARC: one valid record, whoever gets the reports."""
    records = [text for text in answers if text.strip().startswith("v=TLSRPTv1")]
    if len(records) == 1 and (key_tags(records[0]) or {}).get("rua"):
        return Verdict(True)
    if len(records) > 1:
        return Verdict(False, f"There are {len(records)} TLSRPT records: senders then ignore all. Keep one.")
    return Verdict(False, "What stands here is no TLSRPT record with rua=. Enter the value from here.")


def judge_text(expected: str, answers: Sequence[str]) -> Verdict:
    """A text that must be the only one of its kind: the same tags, or the same text."""
    kind = expected.partition(";")[0].strip().lower()
    same_kind = [text for text in answers if text.strip().lower().startswith(kind)]
    if len(same_kind) > 1:
        return Verdict(
            False, f"There are {len(same_kind)} records that begin with {kind}. Keep this one only."
        )
    if any(_is_same(expected, text) for text in answers):
        return Verdict(True)
    quoted = next((hint for text in answers if (hint := quotes_in(text))), None)
    return Verdict(False, quoted or f"Something else stands here: {listed(answers)}.")


def _is_same(expected: str, text: str) -> bool:
    tags = key_tags(expected)
    return text.strip() == expected or (bool(tags) and key_tags(text) == tags)


def _dmarc_problem(text: str) -> str | None:
    tags = key_tags(text)
    if tags is None:
        return "The DMARC record is no list of tags (name=value; name=value)."
    if tags.get("v") != "DMARC1" or next(iter(tags)) != "v":
        return "A DMARC record begins with v=DMARC1 in capital letters."
    # RFC 9989 takes p=none for granted where a record says only whom to report to.
    if tags.get("p", "none" if tags.get("rua") else "").lower() not in _POLICIES:
        return f"The DMARC record has no valid p= ({', '.join(_POLICIES)})."
    return None
