"""Content-Type and Content-Disposition values: the type and its parameters (RFC 2045 §5.1, RFC 2183).

Names of files come in the ways programs really write them: RFC 2231, RFC 2047 inside quotation marks
(against §5 of it), raw UTF-8, raw Latin-1. Nothing here raises, everything is linear in the input.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_REMEMBERED_OCTETS = 60
VALUE_LIMIT = 16_384
"""Octets of a field's value that are looked at."""

_PARAMETER = re.compile(
    rb';\s*+([^\s=;"*]++)(\*[^\s=;"]*+)?+\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^;]*+))', re.DOTALL
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?]*)?\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"\?=\s+(?==\?)")
_COMMENT = re.compile(rb"\([^()\\]*\)")
_CHARSET = re.compile(
    r"(?:utf-?8|utf-?16(?:[bl]e)?|us-ascii|ascii|iso-?8859-?[0-9]{1,2}|windows-?125[0-9]|cp[0-9]{3,5}"
    r"|koi8-?[ru]|shift_?jis|euc-?(?:jp|kr|cn)|iso-2022-(?:jp|kr)|gb2312|gbk|gb18030|big5|tis-620)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ContentValue:
    """A Content-Type or Content-Disposition: `text/plain` or `attachment` in lower case, and parameters.

    Parameter names are in lower case, their values decoded; of a repeated one the first stands.
    `boundary` is the parameter of that name as octets, which nobody decodes.
    """

    value: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    boundary: bytes = b""


def parse_content_value(value: bytes) -> ContentValue:
    """What an unfolded field value says, as far as it can be understood."""
    if len(value) <= _REMEMBERED_OCTETS:
        return _parse_short(value)
    return _parse(value[:VALUE_LIMIT])


def _parse(value: bytes) -> ContentValue:
    if b"(" in value and b'"' not in value:
        value = _COMMENT.sub(b"", value)
    head = value.partition(b";")[0].strip()
    name = head.decode("ascii", "replace").lower().replace(" ", "")
    if b";" not in value:
        return ContentValue(name)
    return _read_parameters(name, value)


# A few values stand in nearly every message: `text/plain; charset=utf-8`, `7bit`.
_parse_short = lru_cache(maxsize=256)(_parse)


def _read_parameters(kind: str, value: bytes) -> ContentValue:
    plain: dict[str, str] = {}
    boundary = b""
    pieces: dict[str, dict[int, tuple[bool, bytes]]] = {}
    for raw_name, star, quoted, token in _PARAMETER.findall(value):
        name = raw_name.decode("ascii", "replace").lower()
        content = _QUOTED_PAIR.sub(rb"\1", quoted) if quoted else token.strip()
        if name == "boundary" and not star:
            boundary = boundary or content.rstrip()
        elif not star:
            plain.setdefault(name, decode_words(_as_text(content)))
        elif len(number := star.strip(b"*")) <= 4 and (not number or number.isdigit()):
            section = pieces.setdefault(name, {})
            section.setdefault(int(number or b"0"), (star.endswith(b"*"), content))
    for name, sections in pieces.items():
        plain[name] = _join_sections(sections)
    if not boundary and "boundary" in plain:
        boundary = plain["boundary"].encode("utf-8", "replace").rstrip()
    return ContentValue(kind, plain, boundary)


def _join_sections(sections: dict[int, tuple[bool, bytes]]) -> str:
    """RFC 2231 §3 and §4: sections in order, percent signs undone where marked, one charset for all."""
    octets: list[bytes] = []
    charset = ""
    for index, number in enumerate(sorted(sections)):
        encoded, content = sections[number]
        if encoded:
            if index == 0 and content.count(b"'") >= 2:
                raw_charset, _, content = content.split(b"'", 2)
                charset = raw_charset.decode("ascii", "replace")
            content = unquote_to_bytes(content)
        octets.append(content)
    return _decode(b"".join(octets), charset or "utf-8")


def decode_words(text: str) -> str:
    """`text` with its RFC 2047 encoded words decoded; what cannot be decoded stays as it is."""
    if "=?" not in text:
        return text
    return _ENCODED_WORD.sub(_decode_word, _BETWEEN_WORDS.sub("?=", text))


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, payload = match.groups()
    octets = payload.encode("utf-8", "replace")
    try:
        if encoding in "bB":
            octets = binascii.a2b_base64(octets + b"=" * (-len(octets) % 4))
        else:
            octets = binascii.a2b_qp(octets, header=True)
    except ValueError:
        return match[0]
    return _decode(octets, charset)


def _as_text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _decode(octets: bytes, charset: str) -> str:
    """Only charsets that mail has are tried: some of Python's codecs are no charsets, or slow."""
    if not _CHARSET.fullmatch(charset):
        return _as_text(octets)
    try:
        return octets.decode(charset, "replace")
    except LookupError:
        return _as_text(octets)
