"""Mistakes in a request, in plain words: which field, and what is the matter with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NULLS = "cannot_be_null"
"""The type of a mistake whose context names the fields (`fields`) that were null."""

_MOST = 50
_OUTSIDE = ("body", "query", "path", "header")
_PREFIX = "Value error, "
_NUMBER = "must be a whole number"
_TIME = "must be a time (RFC 3339), such as 2026-11-26T19:00:00Z"
_LIST = "must be a list"
_OBJECT = "must be an object"
_WORDS: Mapping[str, str] = {
    NULLS: "cannot be null",
    "missing": "is missing",
    "extra_forbidden": "there is no such field",
    "too_short": "needs at least {min_length} of them, and has {actual_length}",
    "too_long": "has more than {max_length} of them",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": _NUMBER,
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
}


def told(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The first of the framework's errors as `field` and `problem`."""
    found: list[dict[str, str]] = []
    for error in errors[:_MOST]:
        place = [str(part) for part in error["loc"] if part not in _OUTSIDE]
        found += ({"field": field, "problem": _problem(error)} for field in _fields(error, place))
    return found


def _fields(error: Mapping[str, Any], place: list[str]) -> Iterable[str]:
    names = error["ctx"]["fields"] if error["type"] == NULLS else ()
    return [".".join([*place, name]) for name in names] or [".".join(place) or "body"]


def _problem(error: Mapping[str, Any]) -> str:
    words = _WORDS.get(error["type"])
    if words is not None:
        return words.format(**error.get("ctx", {}))
    text = str(error["msg"]).removeprefix(_PREFIX)
    return text[:1].lower() + text[1:]
