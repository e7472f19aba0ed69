"""What a file is by its first octets, whatever its name and declared type say.

The names are those of libmagic where it has one. Archives are told, not opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable

HEAD_OCTETS = 1_024
"""How much of a file's beginning the signatures look at."""
FAR_HEAD_OCTETS = 0x8006
"""How much of it the one far signature (ISO 9660) needs."""

_START: tuple[tuple[bytes, str], ...] = (
    (b"\x7fELF", "application/x-executable"),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\x00asm", "application/wasm"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (b"ITSF\x03\x00\x00\x00", "application/x-chm"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"PK\x07\x08", "application/zip"),
    (b"Rar!\x1a\x07", "application/x-rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\x1f\x9d", "application/x-compress"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"),
    (b"!<arch>\n", "application/x-archive"),
    (b"\x60\xea", "application/x-arj"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"OggS", "application/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/x-matroska"),
    (b"{\\rtf", "text/rtf"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
)
_BY_FIRST: dict[int, tuple[tuple[bytes, str], ...]] = {
    first: tuple(entry for entry in _START if entry[0][0] == first)
    for first in {signature[0] for signature, _ in _START}
}
_BOM_AND_SPACE = re.compile(rb"\A(?:\xef\xbb\xbf)?[ \t\r\n\x0c]*")
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|script|iframe|meta|title|table)[\s>/]", re.I)
_SVG = re.compile(rb"<svg[\s>]", re.I)


def detect_type(head: bytes) -> str | None:
    """The media type of a file that begins with `head`, or None: nothing that has a signature.

    `head` should have HEAD_OCTETS; with FAR_HEAD_OCTETS disk images are known too.
    """
    if not head:
        return None
    for signature, media_type in _BY_FIRST.get(head[0], ()):
        if head.startswith(signature):
            return media_type
    for look in _LOOKS:
        found = look(head)
        if found is not None:
            return found
    return None


def _executable(head: bytes) -> str | None:
    if head.startswith((b"MZ", b"ZM")):
        return "application/x-dosexec"
    if head.startswith(b"#!"):
        return "text/x-shellscript"
    if head.startswith(b"\xca\xfe\xba\xbe"):
        # A fat Mach-O says how many binaries it has, a Java class here its version (45 and up).
        return "application/x-mach-binary" if head[4:8] < b"\x00\x00\x00\x2d" else "application/x-java-applet"
    return None


def _document(head: bytes) -> str | None:
    if b"%PDF-" in head[:HEAD_OCTETS]:
        return "application/pdf"
    if head[0] not in b"<\xef \t\r\n\x0c":
        return None
    text = _BOM_AND_SPACE.sub(b"", head, count=1)
    if text.startswith(b"#!"):
        return "text/x-shellscript"
    if _HTML.match(text):
        return "text/html"
    if _SVG.match(text) or (text.startswith(b"<?xml") and _SVG.search(text[:HEAD_OCTETS])):
        return "image/svg+xml"
    return "text/xml" if text.startswith(b"<?xml") else None


def _container(head: bytes) -> str | None:
    kind = head[8:12]
    if head.startswith(b"RIFF"):
        return {b"WEBP": "image/webp", b"WAVE": "audio/x-wav", b"AVI ": "video/x-msvideo"}.get(kind)
    if head[4:8] == b"ftyp":
        return "image/heic" if kind[:3] == b"hei" else "video/mp4"
    if head.startswith(b"BM") and len(head) >= 18 and head[6:10] == b"\x00\x00\x00\x00":
        return "image/bmp"
    if head[257:262] == b"ustar":
        return "application/x-tar"
    if head[7:14] == b"**ACE**":
        return "application/x-ace"
    return "application/x-iso9660-image" if head[0x8001:0x8006] == b"CD001" else None


_LOOKS: tuple[Callable[[bytes], str | None], ...] = (_executable, _document, _container)
