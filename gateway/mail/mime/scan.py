"""The parts of a message (RFC 2046), found in one pass over the body's delimiter lines.

It never raises and does bounded work: on hostile input it stops and says so (`truncated`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.mail.headers import HeaderBlock, count_header, parse_header
from gateway.mail.mime.encoding import decode_uu_head, decoded_head, decoded_size
from gateway.mail.mime.magic import FAR_HEAD_OCTETS, HEAD_OCTETS, detect_type
from gateway.mail.mime.parameters import ContentValue, parse_content_value

MAX_PARTS = 1_000
MAX_DEPTH = 100
DELIMITERS_LIMIT = 100_000
"""Lines that begin with two hyphens, delimiters or not, that are looked at."""
UUENCODED_LIMIT = 10_000
"""Lines of one text that look like the beginning of a uuencoded file and are looked at."""
PART_HEADER_LIMIT = 65_536
"""Octets of a part's header that are parsed."""
PART_FIELDS_LIMIT = 1_000
"""Fields of a part's header; one with more is not parsed at all."""

_UUENCODED = re.compile(rb"(?:\A|\n)begin [0-7]{3,4} ([^\r\n]{1,255})\r?\n")
_UNSAFE = re.compile("[\x00-\x1f\x7f]")
_DELIMITER_LIMIT = 1_024
_ENCODINGS = frozenset({"base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue"})
_MESSAGE_TYPES = frozenset({"message/rfc822", "message/global", "message/news"})
_C = (b"C", b"c")  # the first letter of all fields that matter here
_TEXT = ContentValue("text/plain")
_MESSAGE = ContentValue("message/rfc822")
_NO_DISPOSITION = ContentValue("")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is more than the text of the message.

    `name` is decoded, "" if it has none; `other_names` are those that differ from it (of Content-Type
    against Content-Disposition: programs disagree which counts). `declared_type` is lower case;
    `detected_type` is by content, None if nothing is known by it. `size` is in octets as decoded,
    worked out from the encoded size.
    """

    name: str
    declared_type: str
    detected_type: str | None
    size: int
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MimeScan:
    """What was found.

    `parts` counts leaves and containers, the message itself included; `depth` is 0 without nesting.
    `truncated`: a limit was reached, and there may be more than is listed.
    """

    attachments: tuple[Attachment, ...]
    parts: int
    depth: int
    truncated: bool


def scan_attachments(
    header: HeaderBlock, body: bytes, *, max_parts: int = MAX_PARTS, max_depth: int = MAX_DEPTH
) -> MimeScan:
    """The attachments of a message in normal form (CRLF line ends).

    A message inside (`message/rfc822`) is an attachment if it says so, and is looked into. Text that
    carries uuencoded files is seen through.
    """
    walk = _Walk(body, max_parts, max_depth)
    walk.enter(_read_entity(header, _TEXT), 0)
    if walk.boundaries:
        _walk_delimiters(walk)
    walk.close(0, len(body))
    return MimeScan(tuple(walk.attachments), walk.parts, walk.depth, walk.truncated)


@dataclass(frozen=True, slots=True)
class _Entity:
    """The header facts of one part that matter here. `encodings` has more than one if it is given twice."""

    content: ContentValue
    disposition: ContentValue
    encodings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Open:
    """A leaf or a message inside that has begun at `start`, `level` multiparts deep."""

    entity: _Entity
    start: int
    level: int


@dataclass(slots=True)
class _Walk:
    """The state of one scan."""

    body: bytes
    max_parts: int
    max_depth: int
    attachments: list[Attachment] = field(default_factory=list)
    parts: int = 0
    depth: int = 0
    truncated: bool = False
    boundaries: dict[bytes, int] = field(default_factory=dict)
    """Of the multiparts around the current position: delimiter to level, outermost (0) first."""
    digests: set[int] = field(default_factory=set)
    """Levels that are multipart/digest."""
    opened: list[_Open] = field(default_factory=list)

    def enter(self, entity: _Entity, start: int) -> None:
        """A part begins; its content is at `start`."""
        while True:
            self.parts += 1
            level = len(self.boundaries)
            self.depth = max(self.depth, level + sum(1 for part in self.opened if _is_message(part.entity)))
            if self.parts > self.max_parts or self.depth > self.max_depth:
                self.truncated = True
            if entity.content.value.startswith("multipart/") and not self.truncated:
                self._enter_multipart(entity, level)
                return
            self.opened.append(_Open(entity, start, level))
            if not _is_message(entity) or self.truncated:
                return
            entity, start = self.read_part(start, _TEXT)

    def _enter_multipart(self, entity: _Entity, level: int) -> None:
        boundary = entity.content.boundary
        if not boundary or boundary in self.boundaries:
            return
        if any(encoding in _ENCODINGS for encoding in entity.encodings):
            self.truncated = True  # RFC 2045 §6.4 forbids it; some readers decode it all the same
            return
        self.boundaries[boundary] = level
        if entity.content.value == "multipart/digest":
            self.digests.add(level)

    def read_part(self, start: int, default: ContentValue) -> tuple[_Entity, int]:
        """The header that begins at `start`, and where the content after it begins."""
        if self.body.startswith(b"\r\n", start):
            return _Entity(default, _NO_DISPOSITION, ()), start + 2
        end = self.body.find(b"\r\n\r\n", start, start + PART_HEADER_LIMIT)
        if end < 0:
            self.truncated = self.truncated or len(self.body) - start > PART_HEADER_LIMIT
            end = min(len(self.body), start + PART_HEADER_LIMIT)
        block = self.body[start : end + 2]
        if b"\r\n--" in block or block.startswith(b"--"):
            block = self._up_to_delimiter(block)
        after = min(start + len(block) + 2, len(self.body))
        if count_header(block).fields > PART_FIELDS_LIMIT:
            self.truncated = True
            return _Entity(default, _NO_DISPOSITION, ()), after
        return _read_entity(parse_header(block), default), after

    def _up_to_delimiter(self, block: bytes) -> bytes:
        """A part may end within its header."""
        position = 0
        for raw in block.split(b"\r\n"):
            line = raw.rstrip(b" \t")
            if line.startswith(b"--") and (
                line[2:] in self.boundaries or line[2:].removesuffix(b"--") in self.boundaries
            ):
                return block[:position]
            position += len(raw) + 2
        return block

    def close(self, level: int, end: int) -> None:
        """What is open deeper than the multipart at `level` ends at `end`."""
        while self.opened and self.opened[-1].level >= level:
            part = self.opened.pop()
            _judge(self, part.entity, part.start, max(end, part.start))


def _walk_delimiters(walk: _Walk) -> None:
    """One pass over the lines that begin with two hyphens."""
    body = walk.body
    position = 0 if body.startswith(b"--") else _next_delimiter(body, 0)
    for _ in range(DELIMITERS_LIMIT):
        if position < 0 or walk.truncated:
            return
        end = body.find(b"\r\n", position, position + _DELIMITER_LIMIT)
        if end < 0 and len(body) - position < _DELIMITER_LIMIT:
            end = len(body)
        if end >= 0:
            _take_delimiter(walk, position, end)
        position = _next_delimiter(body, position if end < 0 else end)
    walk.truncated = True


def _next_delimiter(body: bytes, start: int) -> int:
    found = body.find(b"\r\n--", start)
    return found if found < 0 else found + 2


def _take_delimiter(walk: _Walk, position: int, end: int) -> None:
    """The line from `position` to `end` begins with two hyphens: perhaps a part ends or begins there."""
    line = walk.body[position + 2 : end].rstrip(b" \t")
    level = walk.boundaries.get(line)
    is_last = level is None and line.endswith(b"--")
    if is_last:
        level = walk.boundaries.get(line[:-2])
    if level is None:
        return
    walk.close(level + 1, max(position - 2, 0))
    keep = level if is_last else level + 1
    walk.boundaries = {boundary: at for boundary, at in walk.boundaries.items() if at < keep}
    walk.digests = {at for at in walk.digests if at < keep}
    if not is_last:
        default = _MESSAGE if level in walk.digests else _TEXT
        walk.enter(*walk.read_part(min(end + 2, len(walk.body)), default))


def _read_entity(header: HeaderBlock, default: ContentValue) -> _Entity:
    content = disposition = None
    encodings: tuple[str, ...] = ()
    for part in header.fields:
        if part.name[:1] not in _C:
            continue
        key = part.key
        if key == b"content-type" and content is None:
            content = parse_content_value(part.value)
        elif key == b"content-disposition" and disposition is None:
            disposition = parse_content_value(part.value)
        elif key == b"content-transfer-encoding" and len(encodings) < 3:
            encodings += (parse_content_value(part.value).value,)
    return _Entity(content or default, disposition or _NO_DISPOSITION, encodings)


def _is_message(entity: _Entity) -> bool:
    """A message inside that can be looked into."""
    return entity.content.value in _MESSAGE_TYPES and not any(
        encoding in _ENCODINGS for encoding in entity.encodings
    )


def _judge(walk: _Walk, entity: _Entity, start: int, end: int) -> None:
    """List the part if it is an attachment."""
    declared = entity.content.value
    names = _names(entity) if entity.content.parameters or entity.disposition.parameters else []
    encoding = next((encoding for encoding in entity.encodings if encoding in _ENCODINGS), "")
    is_file = bool(names) or entity.disposition.value == "attachment" or not _is_text(declared, encoding)
    detected = None
    if is_file or encoding or walk.body.find(b"\x00", start, min(end, start + HEAD_OCTETS)) >= 0:
        detected, is_binary = _detect(walk.body, entity, start, end)
        is_file = is_file or (detected is not None and is_binary)
    if is_file:
        size = decoded_size(walk.body, start, end, encoding)
        name = names[0] if names else ""
        walk.attachments.append(Attachment(name, declared, detected, size, tuple(names[1:])))
    elif not encoding and walk.body.find(b"begin ", start, end) >= 0:
        walk.attachments.extend(_uuencoded(walk.body[start:end], walk.max_parts - len(walk.attachments)))


def _is_text(declared: str, encoding: str) -> bool:
    """What programs show as part of the message rather than as a file.

    A message inside that is encoded (against RFC 2046 §5.2.1) is not looked into, so it is a file.
    """
    if encoding and declared in _MESSAGE_TYPES:
        return False
    return not declared or declared.startswith(("text/", "message/", "multipart/"))


def _names(entity: _Entity) -> list[str]:
    names: list[str] = []
    for parameters, key in ((entity.disposition.parameters, "filename"), (entity.content.parameters, "name")):
        name = _UNSAFE.sub("", parameters.get(key, "")).rstrip(" .")
        if name and name not in names:
            names.append(name)
    return names


def _detect(body: bytes, entity: _Entity, start: int, end: int) -> tuple[str | None, bool]:
    """The type by content, and whether that is binary. With two encodings given, both are tried."""
    is_binary = False
    for encoding in entity.encodings or ("",):
        head = decoded_head(body, start, end, encoding, HEAD_OCTETS)
        is_binary = is_binary or b"\x00" in head
        detected = detect_type(head)
        if detected is None and is_binary and end - start > FAR_HEAD_OCTETS:
            detected = detect_type(decoded_head(body, start, end, encoding, FAR_HEAD_OCTETS))
        if detected is not None:
            return detected, is_binary
    return None, is_binary


def _uuencoded(text: bytes, limit: int) -> list[Attachment]:
    """Files inside plain text, as mail had them before MIME; many programs still show them as files."""
    found: list[Attachment] = []
    match = _UUENCODED.search(text)
    for _ in range(UUENCODED_LIMIT):
        if match is None or len(found) >= limit:
            break
        start = position = match.end()
        head = decode_uu_head(text, start, HEAD_OCTETS)
        if head:
            end = text.find(b"\nend", start)
            position = len(text) if end < 0 else end
            name = _UNSAFE.sub("", match[1].decode("utf-8", "replace")).rstrip(" .")
            size = (position - start) * 45 // 63
            found.append(Attachment(name, "application/octet-stream", detect_type(head), size))
        match = _UUENCODED.search(text, position - 1)
    return found
