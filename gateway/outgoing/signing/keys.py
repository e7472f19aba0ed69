"""Opened private keys, kept in memory for as long as their records say that they may sign."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

if TYPE_CHECKING:
    from gateway.control.records import KeyRecord

RSA_SHA256 = "rsa-sha256"
ED25519_SHA256 = "ed25519-sha256"

SignHeaders = Callable[[bytes], bytes]
"""Signs the canonical header octets; returns the raw signature."""


class UnusableKey(Exception):
    """A private key cannot be opened or is of another kind than its record says."""


def _rsa_signer(key: rsa.RSAPrivateKey) -> SignHeaders:
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()

    def sign(octets: bytes) -> bytes:
        return key.sign(octets, scheme, digest)

    return sign


def _ed25519_signer(key: ed25519.Ed25519PrivateKey) -> SignHeaders:
    def sign(octets: bytes) -> bytes:
        # RFC 8463 §3: PureEdDSA over the SHA-256 of the data.
        return key.sign(hashlib.sha256(octets).digest())

    return sign


def load_signer(private_key: bytes, algorithm: str) -> SignHeaders:
    """A signing function for a private key in PKCS#8, DER or PEM.

    Raises UnusableKey if it does not parse or is not of `algorithm`. The RSA self-check is
    skipped: it costs 37 ms, and the key was checked when it was made or imported.
    """
    load = load_pem_private_key if private_key.lstrip().startswith(b"-----") else load_der_private_key
    try:
        key = load(private_key, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:
        raise UnusableKey("the private key does not parse") from error
    if algorithm == RSA_SHA256 and isinstance(key, rsa.RSAPrivateKey):
        return _rsa_signer(key)
    if algorithm == ED25519_SHA256 and isinstance(key, ed25519.Ed25519PrivateKey):
        return _ed25519_signer(key)
    raise UnusableKey(f"the private key is not one for {algorithm}")


class KeyCache:
    """Opens sealed keys once and remembers the `capacity` most recently used ones.

    `open_sealed` turns a key record into the private key's octets; it may raise anything, which
    becomes UnusableKey. Safe to use from several threads.
    """

    def __init__(self, open_sealed: Callable[[KeyRecord], bytes], capacity: int = 10_000) -> None:
        self._open_sealed = open_sealed
        self._capacity = capacity
        self._signers: OrderedDict[str, SignHeaders] = OrderedDict()
        self._lock = threading.Lock()

    def signer(self, record: KeyRecord) -> SignHeaders:
        """The signing function of a key record.

        Raises UnusableKey.
        """
        with self._lock:
            found = self._signers.get(record.id)
            if found is not None:
                self._signers.move_to_end(record.id)
                return found
        made = self._open(record)
        with self._lock:
            self._signers[record.id] = made
            while len(self._signers) > self._capacity:
                self._signers.popitem(last=False)
        return made

    def forget(self, key_id: str) -> None:
        """Drop a key that was revoked or destroyed."""
        with self._lock:
            self._signers.pop(key_id, None)

    def _open(self, record: KeyRecord) -> SignHeaders:
        try:
            private_key = self._open_sealed(record)
        except Exception as error:
            raise UnusableKey(f"key {record.selector}._domainkey.{record.domain} cannot be opened") from error
        return load_signer(private_key, record.algorithm)
