"""The fields that rules can ask about, and which ops fit them."""

from __future__ import annotations

import re
from enum import StrEnum

HEADER_PREFIX = "header."
_HEADER = re.compile(r"header\.[!-9;-~]{1,100}")


class FieldType(StrEnum):
    """How a field's values are compared."""

    TEXT = "text"
    ADDRESS = "address"
    DOMAIN = "domain"
    NUMBER = "number"
    SIZE = "size"
    DAY = "day"
    NETWORK = "network"


DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_FIELDS = {
    "from": FieldType.ADDRESS,
    "from.domain": FieldType.DOMAIN,
    "sender": FieldType.ADDRESS,
    "to": FieldType.ADDRESS,
    "to.domain": FieldType.DOMAIN,
    "recipients": FieldType.NUMBER,
    "subject": FieldType.TEXT,
    "size": FieldType.SIZE,
    "stream": FieldType.TEXT,
    "tag": FieldType.TEXT,
    "attachment.type": FieldType.TEXT,
    "attachment.name": FieldType.TEXT,
    "attachment.size": FieldType.SIZE,
    "attachment.count": FieldType.NUMBER,
    "client.address": FieldType.NETWORK,
    "hour": FieldType.NUMBER,
    "day": FieldType.DAY,
}

_TEXT_OPS = ("is", "is_not", "in", "contains", "starts_with", "ends_with", "matches")
_NUMBER_OPS = ("is", "is_not", "in", "greater", "less")
_OPS = {
    FieldType.TEXT: _TEXT_OPS,
    FieldType.ADDRESS: (*_TEXT_OPS, "in_list"),
    FieldType.DOMAIN: (*_TEXT_OPS, "in_list"),
    FieldType.NUMBER: _NUMBER_OPS,
    FieldType.SIZE: _NUMBER_OPS,
    FieldType.DAY: ("is", "is_not", "in"),
    FieldType.NETWORK: ("is", "is_not", "in", "in_network"),
}


def field_type(name: str) -> FieldType | None:
    """How a field is compared; None if there is no such field. `name` is in lower case."""
    if _HEADER.fullmatch(name):
        return FieldType.TEXT
    return _FIELDS.get(name)


def field_names() -> tuple[str, ...]:
    """Every field, for people."""
    return (*_FIELDS, HEADER_PREFIX + "NAME")


def ops_of(kind: FieldType) -> tuple[str, ...]:
    """The ops that fit a kind of field."""
    return _OPS[kind]


def is_about_attachments(name: str) -> bool:
    """Whether the message's parts must be looked at to know the field."""
    return name.startswith("attachment.")
