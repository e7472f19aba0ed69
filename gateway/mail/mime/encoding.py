"""The beginning and the size of a part as decoded, without decoding all of it (RFC 2045 §6)."""

from __future__ import annotations

import binascii

_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_UUENCODE = frozenset({"x-uuencode", "uuencode", "x-uue"})


def decoded_head(body: bytes, start: int, end: int, encoding: str, octets: int) -> bytes:
    """The first `octets` of what `body[start:end]` decodes to; what cannot be decoded stays as it is."""
    if encoding == "base64":
        return _base64_head(body, start, end, octets)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body[start : min(end, start + 3 * octets)])[:octets]
    if encoding in _UUENCODE:
        begin = body.find(b"begin ", start, end)
        line_end = body.find(b"\n", begin, end)
        return decode_uu_head(body[:end], line_end + 1, octets) if begin >= 0 and line_end >= 0 else b""
    return body[start : min(end, start + octets)]


def decoded_size(body: bytes, start: int, end: int, encoding: str) -> int:
    """The octets that `body[start:end]` decodes to, from counting what encodes nothing."""
    size = end - start
    if encoding == "base64":
        text = size - body.count(b"\r", start, end) - body.count(b"\n", start, end)
        return max(text * 3 // 4 - body.count(b"=", max(end - 4, start), end), 0)
    if encoding == "quoted-printable":
        signs = body.count(b"=", start, end)
        return max(size - 2 * signs - body.count(b"=\r\n", start, end), 0)
    return size * 45 // 63 if encoding in _UUENCODE else size


def decode_uu_head(text: bytes, start: int, octets: int) -> bytes:
    """The first `octets` of the uuencoded lines that begin at `start`, up to the first that is none."""
    decoded = b""
    for line in text[start : start + 2 * octets].split(b"\n"):
        if len(decoded) >= octets or line.startswith(b"end"):
            break
        try:
            decoded += binascii.a2b_uu(line.rstrip(b"\r"))
        except binascii.Error:
            break
    return decoded[:octets]


def _base64_head(body: bytes, start: int, end: int, octets: int) -> bytes:
    """Looks further where much stands in between that is no base64: readers skip it too."""
    window = 2 * octets
    while True:
        clean = body[start : min(end, start + window)].translate(None, _NOT_BASE64)
        if len(clean) * 3 // 4 >= octets or start + window >= end:
            break
        window *= 8
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))[:octets]
