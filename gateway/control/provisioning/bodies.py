"""What a body of `POST /v1/provision` may hold, so that a file is judged before anything is sent. Pure.

The API has the last word; a test holds that both agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.control.records import ENVIRONMENTS
from gateway.system.toml_lines import did_you_mean

LONGEST_NAME = 200
LONGEST_TEXT = 1_000
LONGEST_PASSWORD = 100
MOST_PAIRS = 50


class _Test(Protocol):
    def __call__(self, value: Any, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a field may hold, as a test and in words; `may_be_null` where null means "not said"."""

    allows: _Test
    words: str
    may_be_null: bool = False

    def or_null(self) -> _Rule:
        return _Rule(self.allows, self.words, may_be_null=True)

    def refuses(self, value: Any) -> bool:
        return not (self.may_be_null if value is None else self.allows(value))


def _is_text(value: Any, most: int = LONGEST_TEXT, least: int = 0) -> bool:
    # JSON can spell halves of characters, which are no text.
    return isinstance(value, str) and least <= len(value) <= most and not _has_halves(value)


def _has_halves(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _is_name(value: Any) -> bool:
    return _is_text(value, LONGEST_NAME, 1)


def _is_long_name(value: Any) -> bool:
    return _is_text(value, LONGEST_TEXT, 1)


def _is_client_id(value: Any) -> bool:
    return _is_name(value) and bool(value.strip())


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_pairs(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MOST_PAIRS
        and all(map(_is_name, value))
        and all(map(_is_text, value.values()))
    )


def _is_password(value: Any) -> bool:
    return isinstance(value, bool) or _is_text(value, LONGEST_PASSWORD)


_NAME = _Rule(_is_name, f"a text of 1 to {LONGEST_NAME} characters")
_LONG_NAME = _Rule(_is_long_name, f"a text of 1 to {LONGEST_TEXT} characters")
_CLIENT_ID = _Rule(_is_client_id, f"a text of 1 to {LONGEST_NAME} characters, not only spaces").or_null()
_TEXT = _Rule(_is_text, f"a text of at most {LONGEST_TEXT} characters")
_TEXTS = _Rule(_is_texts, f"a list of texts of at most {LONGEST_TEXT} characters")
_PAIRS = _Rule(
    _is_pairs, f"at most {MOST_PAIRS} pairs of texts, of {LONGEST_NAME} and {LONGEST_TEXT} characters"
)
_FLAG = _Rule(lambda value: isinstance(value, bool), "true or false")
_OBJECTS: Mapping[str, Mapping[str, _Rule]] = {
    "tenant": {
        "name": _NAME.or_null(),
        "plan": _NAME.or_null(),
        "client_id": _CLIENT_ID,
        "contacts": _TEXTS,
        "metadata": _PAIRS,
    },
    "account": {
        "local_part": _NAME,
        "display_name": _TEXT.or_null(),
        "client_id": _CLIENT_ID,
        "metadata": _PAIRS,
    },
    "protocols": {"smtp": _FLAG, "imap": _FLAG},
}
_FIELDS: Mapping[str, _Rule] = {
    "environment": _Rule(
        lambda value: value in ENVIRONMENTS, f"{', '.join(ENVIRONMENTS[:-1])} or {ENVIRONMENTS[-1]}"
    ),
    "domain": _LONG_NAME.or_null(),
    "workspace": _NAME.or_null(),
    "app_password": _Rule(
        _is_password, f"true, false or a text of at most {LONGEST_PASSWORD} characters"
    ).or_null(),
}


def mistakes(body: Any) -> Iterator[tuple[str, str]]:
    """Every mistake of a body: the field, with dots, and what is wrong with it."""
    if not isinstance(body, dict):
        yield "", "an object is expected"
        return
    for name, value in body.items():
        if name in _OBJECTS and isinstance(value, dict):
            yield from _of_fields(value, _OBJECTS[name], name + ".")
        elif name in _OBJECTS and not (name == "protocols" and value is None):
            yield name, "an object is expected"
    rest = {name: value for name, value in body.items() if name not in _OBJECTS}
    yield from _of_fields(rest, _FIELDS, "")
    account = body.get("account")
    if not isinstance(account, dict) or "local_part" not in account:
        yield "account.local_part", "it is missing"
    if body.get("app_password") and not _has_protocol(body.get("protocols")):
        yield "app_password", "it needs a protocol that is on: smtp or imap"


def _of_fields(
    given: Mapping[str, Any], known: Mapping[str, _Rule], prefix: str
) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        if name not in known:
            allowed = [*known, *(() if prefix else _OBJECTS)]
            hint = did_you_mean(name, allowed)
            yield prefix + name, f"unknown field{hint}; allowed here: {', '.join(allowed)}"
        elif known[name].refuses(value):
            yield prefix + name, f"allowed: {known[name].words}"


def _has_protocol(protocols: Any) -> bool:
    return isinstance(protocols, dict) and any(protocols.values())
