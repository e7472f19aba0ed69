"""What a condition compares with: checked, and made ready so that comparing is cheap."""

from __future__ import annotations

import ipaddress

from gateway.control.policies.expressions import PatternError
from gateway.control.policies.lists import LIST_NAME, LIST_NAME_RULE
from gateway.control.policies.patterns import parse_pattern
from gateway.control.policies.quantities import parse_size
from gateway.control.policies.readers import LARGEST, shown_raw
from gateway.control.policies.rulefields import DAYS, FieldType
from gateway.control.policies.rules import Network, Op, Operand
from gateway.mail.idna import DomainError, to_ascii

TEXT_LIMIT = 1_000
LIST_LIMIT = 1_000


class OperandError(ValueError):
    """A value that its field and op cannot be compared with; the text says what is allowed."""


def read_operand(field: str, kind: FieldType, op: Op, value: object) -> Operand:
    """The operand of a comparison. Raises OperandError."""
    if op == "in":
        return _read_list(field, kind, value)
    if op == "in_network":
        entries = value if isinstance(value, list) else [value]
        return tuple(_network(entry) for entry in _bounded(entries))
    if op == "in_list":
        return _list_name(value)
    if op == "matches":
        try:
            return parse_pattern(_text(value))
        except PatternError as error:
            raise OperandError(f"{shown_raw(value)}: {error}") from error
    if kind in (FieldType.NUMBER, FieldType.SIZE):
        return _number(kind, value)
    if op in ("contains", "starts_with", "ends_with"):
        return _text(value).casefold()
    return _whole_text(kind, value)


def _read_list(field: str, kind: FieldType, value: object) -> Operand:
    if not isinstance(value, list):
        raise OperandError(f"{shown_raw(value)} is not allowed; in takes a list of values of {field}")
    entries = _bounded(value)
    if kind in (FieldType.NUMBER, FieldType.SIZE):
        return frozenset(_number(kind, entry) for entry in entries)
    return frozenset(_whole_text(kind, entry) for entry in entries)


def _list_name(value: object) -> str:
    if not isinstance(value, str) or not LIST_NAME.fullmatch(value):
        raise OperandError(
            f"{shown_raw(value)} is not allowed; allowed: the name of a list, {LIST_NAME_RULE}"
        )
    return value


def _bounded(entries: list[object]) -> list[object]:
    if not 0 < len(entries) <= LIST_LIMIT:
        raise OperandError(f"a list of {len(entries)} values; allowed: 1 to {LIST_LIMIT}")
    return entries


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_LIMIT:
        raise OperandError(
            f"{shown_raw(value)} is not allowed; allowed: a text of 1 to {TEXT_LIMIT} characters"
        )
    return value


def _whole_text(kind: FieldType, value: object) -> str:
    """A text that is compared whole, in the form in which the field's values are known."""
    text = _text(value).casefold()
    if kind is FieldType.DAY and text not in DAYS:
        raise OperandError(f"{shown_raw(value)} is not allowed; allowed: {', '.join(DAYS)}")
    if kind is FieldType.NETWORK:
        try:
            return str(ipaddress.ip_address(text))
        except ValueError as error:
            raise OperandError(f"{shown_raw(value)} is no IP address") from error
    if kind is FieldType.DOMAIN or (kind is FieldType.ADDRESS and "@" in text):
        local, at, domain = text.rpartition("@")
        try:
            return local + at + to_ascii(domain)
        except DomainError as error:
            raise OperandError(f"{shown_raw(value)} is no domain") from error
    return text


def _number(kind: FieldType, value: object) -> int:
    allowed = "a whole number" if kind is FieldType.NUMBER else 'a number of octets or a size such as "5 MiB"'
    number = value
    if kind is FieldType.SIZE and isinstance(value, str):
        try:
            number = parse_size(value)
        except ValueError as error:
            raise OperandError(f"{error}; allowed: {allowed}") from error
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= LARGEST:
        raise OperandError(f"{shown_raw(value)} is not allowed; allowed: {allowed}")
    return number


def _network(value: object) -> Network:
    try:
        return ipaddress.ip_network(_text(value))
    except ValueError as error:
        if isinstance(error, OperandError):
            raise
        raise OperandError(f'{shown_raw(value)} is no network; allowed: such as "192.0.2.0/24"') from error
