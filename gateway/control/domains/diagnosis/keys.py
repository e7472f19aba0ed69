"""DKIM key records: equal in meaning to what was expected, or what is wrong with them (RFC 6376 §3.6.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import permutations

from gateway.control.domains.diagnosis.verdict import Verdict, quotes_in, shortened, unquoted

_MOST_PIECES = 4
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_DEFAULTS = {"v": "DKIM1", "k": "rsa"}


def judge_key(expected: str, answers: Sequence[str]) -> Verdict:
    """One record only (§3.6.2.2): with several, verifiers choose as they like."""
    if len(answers) > 1:
        return Verdict(False, _several(expected, answers))
    text = answers[0]
    if not _is_same(expected, text):
        return Verdict(False, _mistake(expected, text))
    if re.search(r"p\s*=[^;]*\S\s+[^;\s]", text):
        return Verdict(True, "White space stands inside the key. Verifiers pass over it; better remove it.")
    return Verdict(True)


def key_tags(text: str) -> Mapping[str, str] | None:
    """The tags of a key record without white space; None if it is no list of tags."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not part.strip():
            continue
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in tags:
            return None
        tags[name] = re.sub(r"\s+", "", value)
    return tags


def _is_same(expected: str, text: str) -> bool:
    wanted, found = key_tags(expected), key_tags(text)
    if wanted is None or found is None or "p" not in found:
        return False
    same = all(
        found.get(name, _DEFAULTS.get(name)) == wanted.get(name, _DEFAULTS.get(name)) for name in "vkp"
    )
    first = next(iter(found)) == "v" or "v" not in found
    hashes, services = found.get("h", "sha256").split(":"), found.get("s", "*").split(":")
    return same and first and "sha256" in hashes and bool({"*", "email"} & set(services))


def _several(expected: str, answers: Sequence[str]) -> str:
    count = len(answers)
    if any(_is_same(expected, text) for text in answers):
        return (
            f"One of {count} TXT records at this name is right. Remove the others: only one may stand here."
        )
    if count <= _MOST_PIECES and any(
        _is_same(expected, "".join(map(unquoted, order))) for order in permutations(answers)
    ):
        return (
            f"The key is split over {count} records. Enter it as one record; "
            "a long value may be several quoted strings, but of that one record."
        )
    return f"There are {count} TXT records at this name, none of them this key. Only this one may stand here."


def _mistake(expected: str, text: str) -> str:
    if _is_same(expected, unquoted(text)) or quotes_in(text):
        return quotes_in(text) or "The value is written in another way. Copy it from here."
    wanted, tags = (key_tags(expected) or {}).get("p", ""), key_tags(text)
    if tags is None or "p" not in tags:
        return _without_key(wanted, text)
    found = tags["p"]
    if found == wanted:
        return _wrong_tag(expected, tags)
    if not found:
        return "The record has an empty p=, which revokes the key. Enter the value from here."
    return _wrong_key(wanted, found)


def _wrong_key(wanted: str, found: str) -> str:
    if not wanted:
        return "The key is revoked: its record must have an empty p= now."
    if wanted.startswith(found):
        return (
            f"The key is cut off after {len(found)} of {len(wanted)} characters. Panels that take 255 "
            'characters at most want it in two strings: "first 255" "rest", in one record.'
        )
    if re.sub(r"[^A-Za-z0-9+/=]", "", found) == wanted:
        return "The key was split wrongly: what joins its parts has become part of it. Enter it in one piece."
    if found.startswith(wanted) or wanted in found:
        return "There is more in p= than the key. Enter the value from here, and nothing else."
    if _BASE64.fullmatch(found):
        return "This is another key's value: an older one's, or another domain's. Enter the one from here."
    return "What stands in p= is no key. Copy the value from here in one piece."


def _without_key(wanted: str, text: str) -> str:
    compact = re.sub(r"\s+", "", text)
    if wanted and compact in (wanted, f"p={wanted}"):
        return "Only the key stands here. The record begins with v=DKIM1; enter the whole value."
    if text.lower().startswith("v=spf1"):
        return "An SPF record stands at the key's name. Enter the key here."
    return f"This is no DKIM key record: {shortened(text)}"


def _wrong_tag(expected: str, tags: Mapping[str, str]) -> str:
    wanted = key_tags(expected) or {}
    for name in ("v", "k"):
        found = tags.get(name, _DEFAULTS[name])
        if found != wanted.get(name, _DEFAULTS[name]):
            said = f"{name}={shortened(found, 20)}"
            return f"The key is right, but the record says {said}. Enter the value from here."
    if "v" in tags and next(iter(tags)) != "v":
        return "v=DKIM1 must stand first in the record."
    return "The key is right, but its h= or s= forbids its use for mail. Enter the value from here."
