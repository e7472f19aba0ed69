"""Relaxed canonicalisation (RFC 6376 §3.4.2, §3.4.4) with whole-buffer bytes operations.

Input is in normal form: every line ends with CRLF and no bare CR or LF is left. dkimpy is the
reference; `tests/unit/outgoing/signing` holds both equal.
"""

from __future__ import annotations

import hashlib


def compress_whitespace(octets: bytes) -> bytes:
    """Every run of spaces and tabs becomes one space."""
    if b"\t" in octets:
        octets = octets.replace(b"\t", b" ")
    while b"  " in octets:
        octets = octets.replace(b"  ", b" ")
    return octets


def relaxed_body(body: bytes) -> bytes:
    """The body as `c=…/relaxed` hashes it: white space reduced, trailing empty lines gone."""
    body = compress_whitespace(body)
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    if body.endswith(b"\r\n\r\n") or body == b"\r\n" or not body.endswith(b"\r\n"):
        body = body.rstrip(b"\r\n")
        return body + b"\r\n" if body else b""
    return body


def relaxed_body_hash(body: bytes) -> bytes:
    """SHA-256 of the relaxed body: 32 octets."""
    return hashlib.sha256(relaxed_body(body)).digest()


def relaxed_field(raw: bytes) -> bytes:
    """One header field, `Name: value` with its folding and CRLF, in relaxed form with CRLF."""
    name, _, value = raw.partition(b":")
    if b"\n" in value:
        value = value.replace(b"\r\n", b"")
    return name.lower().rstrip(b" \t") + b":" + compress_whitespace(value).strip(b" \t") + b"\r\n"
