"""DKIM key material: made, imported, and the text of its DNS record (RFC 6376 §3.6.1, RFC 8463)."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from gateway.control.errors import Invalid
from gateway.control.records import KeyAlgorithm

RSA_BITS = (2048, 4096)
_ED25519_BITS = 256
_LONGEST_IMPORT_BITS = 4096


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A key pair: `private` is PKCS #8 DER, `public_key` the p= of its record."""

    algorithm: KeyAlgorithm
    bits: int
    private: bytes = field(repr=False)
    public_key: str


class KeyMaker(Protocol):
    """Makes a key pair; slow for RSA (0.1 s and more), so never inside a transaction."""

    def __call__(self, algorithm: KeyAlgorithm, bits: int) -> KeyMaterial: ...


def make_key(algorithm: KeyAlgorithm, bits: int) -> KeyMaterial:
    """A fresh key pair; `bits` counts for RSA only."""
    if algorithm == "ed25519-sha256":
        return _material(ed25519.Ed25519PrivateKey.generate())
    return _material(rsa.generate_private_key(public_exponent=65537, key_size=bits))


def check_kind(algorithm: str, bits: int) -> KeyAlgorithm:
    """The algorithm by its name; "rsa" and "ed25519" will do. Raises Invalid."""
    if algorithm in ("rsa", "rsa-sha256"):
        if bits not in RSA_BITS:
            raise Invalid(
                "bad-key-size", f"{bits} bits are not offered for RSA.", "Use 2048 (the usual) or 4096."
            )
        return "rsa-sha256"
    if algorithm in ("ed25519", "ed25519-sha256"):
        return "ed25519-sha256"
    raise Invalid("bad-algorithm", f"{algorithm[:40]!r} is no DKIM algorithm.", "Use rsa or ed25519.")


def import_key(pem: bytes) -> KeyMaterial:
    """A private key in PEM, without a password. Raises Invalid; the text holds nothing of the key."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Invalid(
            "bad-key",
            "The file holds no private key that can be read.",
            "Give a PEM file (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY) without a password.",
        ) from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return _material(key)
    if isinstance(key, rsa.RSAPrivateKey) and RSA_BITS[0] <= key.key_size <= _LONGEST_IMPORT_BITS:
        return _material(key)
    raise Invalid(
        "bad-key",
        "The key is of a kind or size that DKIM verifiers do not take.",
        "Use RSA of 2048 to 4096 bits, or Ed25519; `gatepost dkim-key create` makes one.",
    )


def record_name(selector: str, domain: str) -> str:
    """Where a key's record stands in DNS."""
    return f"{selector}._domainkey.{domain}"


def record_value(algorithm: str, public_key: str) -> str:
    """The record's text, in one piece."""
    kind = "ed25519" if algorithm == "ed25519-sha256" else "rsa"
    return f"v=DKIM1; k={kind}; p={public_key}"


def next_selector(now: float, taken: Collection[str]) -> str:
    """A selector with today's date (UTC) that is not taken: gp20261123a, …b, …z, …aa."""
    day = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("gp%Y%m%d")
    number = 0
    while True:
        selector = day + _letters(number)
        if selector not in taken:
            return selector
        number += 1


def _letters(number: int) -> str:
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def _material(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> KeyMaterial:
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return KeyMaterial("ed25519-sha256", _ED25519_BITS, private, base64.b64encode(raw).decode())
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return KeyMaterial("rsa-sha256", key.key_size, private, base64.b64encode(public).decode())
