"""The parts of a composed message (RFC 2045, RFC 2046): texts, files, and what holds them together.

Everything is ASCII with lines of at most 78 octets, so that no hop needs more than any hop has; only a
message inside (`message/rfc822`) stays as it is, as nobody may encode it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.control.errors import Invalid
from gateway.mail.message import has_line_over, has_nul, is_eightbit, normalise_newlines
from gateway.outgoing.composing.fields import LINE_OCTETS, parameter
from gateway.outgoing.composing.values import Attachment

FILE_NAME_LIMIT = 255
_BASE64_LINE = 76
_MEDIA_TYPE = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
    r'(?:; ?[a-z0-9-]{1,40}=(?:[A-Za-z0-9._+-]{1,100}|"[A-Za-z0-9 ._+=/-]{1,100}"))*',
    re.IGNORECASE,
)
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
_NOT_PLAIN = re.compile(rb"[^\t\r\n -~]|[ \t]\r\n|(?:\A|\n)From ")


@dataclass(frozen=True, slots=True)
class Entity:
    """A part: its content fields, and its body."""

    header: bytes
    body: bytes

    @property
    def octets(self) -> bytes:
        """Header, empty line, body."""
        return b"".join((self.header, b"\r\n", self.body))


def text_entity(kind: str, text: str) -> Entity:
    """A `text/plain` or `text/html` part. It always ends with a line end. Raises Invalid."""
    try:
        octets = text.encode("utf-8")
    except UnicodeEncodeError:
        octets = b"\x00"
    if has_nul(octets):
        raise Invalid(
            "bad-text",
            f"The {kind} body has a NUL or half of a surrogate pair.",
            "Send text; binary content goes into an attachment.",
        )
    octets = normalise_newlines(octets)
    if not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    encoding, body = _encoded_text(octets)
    charset = "us-ascii" if encoding == "7bit" else "utf-8"
    head = f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n"
    return Entity(head.encode("ascii"), body)


def file_entity(file: Attachment, *, inline: bool) -> Entity:
    """A file. Raises Invalid for a name, a type or a content id that cannot be one."""
    media_type = _checked_type(file)
    if not file.name or len(file.name) > FILE_NAME_LIMIT:
        raise _bad(file, f"a file's name has 1 to {FILE_NAME_LIMIT} characters", "Give it another name.")
    try:
        name = parameter("filename", file.name)
    except ValueError as error:
        raise _bad(file, f"its name {error}", "Give it another name.") from None
    encoding, body = _encoded_file(file, media_type)
    disposition = "inline" if inline else "attachment"
    head = (
        f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        f"Content-Disposition: {disposition}{name}\r\n"
    )
    if file.content_id is not None:
        head += f"Content-ID: <{_checked_id(file, file.content_id)}>\r\n"
    return Entity(head.encode("ascii"), body)


def multipart(kind: str, parts: Sequence[Entity], boundary: str, root_type: str = "") -> Entity:
    """Parts together. A `boundary` with `=_` in it stands in nothing that is encoded (RFC 2045 §6.7)."""
    root = f'; type="{root_type}"' if root_type else ""
    head = f'Content-Type: multipart/{kind}{root};\r\n boundary="{boundary}"\r\n'.encode("ascii")
    line = b"--" + boundary.encode("ascii")
    pieces = [piece for part in parts for piece in (line, b"\r\n", part.octets, b"\r\n")]
    return Entity(head, b"".join((*pieces, line, b"--\r\n")))


def _encoded_text(octets: bytes) -> tuple[str, bytes]:
    if _NOT_PLAIN.search(octets) is None and not has_line_over(octets, LINE_OCTETS):
        return "7bit", octets
    quoted = binascii.b2a_qp(octets, quotetabs=False, istext=True)
    if len(quoted) <= len(octets) * 3 // 2:
        return "quoted-printable", quoted
    return "base64", _base64(octets)


def _encoded_file(file: Attachment, media_type: str) -> tuple[str, bytes]:
    if not media_type.startswith("message/"):
        return "base64", _base64(file.content)
    content = normalise_newlines(file.content)
    if has_nul(content) or has_line_over(content):
        raise _bad(
            file,
            "a message inside has a NUL or a line over 998 octets, and may not be encoded",
            "Send it as application/octet-stream.",
        )
    return "8bit" if is_eightbit(content) else "7bit", content


def _base64(octets: bytes) -> bytes:
    text = binascii.b2a_base64(octets, newline=False)
    lines = [text[start : start + _BASE64_LINE] for start in range(0, len(text), _BASE64_LINE)]
    return b"\r\n".join((*lines, b""))


def _checked_type(file: Attachment) -> str:
    media_type = file.type.strip()
    if not _MEDIA_TYPE.fullmatch(media_type) or len(media_type) > 500:
        raise _bad(file, f"{file.type[:80]!r} is no media type", "Give one such as application/pdf.")
    if media_type.lower().startswith("multipart/"):
        raise _bad(file, "a multipart is no file", "Attach its parts, or send the whole message raw.")
    return media_type.lower() if ";" not in media_type else media_type


def _checked_id(file: Attachment, content_id: str) -> str:
    bare = content_id.removeprefix("<").removesuffix(">")
    if not _CONTENT_ID.fullmatch(bare):
        raise _bad(file, f"{content_id[:80]!r} is no content id", "Give one such as logo@example.com.")
    return bare


def _bad(file: Attachment, what: str, fix: str) -> Invalid:
    return Invalid("bad-attachment", f"The attachment {file.name[:80]!r} cannot be sent: {what}.", fix)
