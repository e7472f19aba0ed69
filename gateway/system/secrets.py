"""The master key and what is sealed under it.

The master key lives in a file outside every database (mode 0600, or systemd's LoadCredential). From it
HKDF-SHA256 (RFC 5869) makes one sub-key a purpose; a process is given the sealers it needs, not the key.
A sealed value is `version (1) | key id (4) | nonce (12) | AES-256-GCM ciphertext and tag`, with the
tenant, table, row and column as associated data: moved to another row it does not open.

While a key is being rotated the file holds two, the newer first: everything new is sealed under the first,
both open. HMACs that must outlive a rotation are made under keys of the installation, which are themselves
sealed in the control database: see gateway.control.installation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_PREFIX = "gatepost-master-key-1:"
_OCTETS = 32
_VERSION = 1
_ID_OCTETS = 4
_NONCE_OCTETS = 12
# Where systemd puts credentials: the service reads them by an access control list, shown as group bits.
_CREDENTIALS = Path("/run/credentials")


class SecretError(Exception):
    """The master key is missing, unsafe or wrong, or a value does not open; the text says what to do."""


def derive(secret: bytes, purpose: str) -> bytes:
    """A 32-octet key for one purpose (RFC 5869), from 32 octets of a secret."""
    kdf = HKDF(algorithm=SHA256(), length=_OCTETS, salt=None, info=b"gatepost/" + purpose.encode())
    return kdf.derive(secret)


class MasterKey:
    """The live master keys of an installation, the one to seal with first."""

    def __init__(self, keys: tuple[bytes, ...], path: Path | None = None) -> None:
        """`keys` are 32 octets each, at least one. Use `load` or `create` outside tests."""
        if not keys or any(len(key) != _OCTETS for key in keys):
            raise SecretError(f"a master key has {_OCTETS} octets")
        self.path = path
        self._keys = {_key_id(key): key for key in keys}
        self._lock = threading.Lock()
        self._stamp = _stamp(path)

    @classmethod
    def load(cls, path: Path) -> MasterKey:
        """Read the key file. Raises SecretError with a sentence."""
        return cls(_read(path), path)

    @classmethod
    def create(cls, path: Path, random_bytes: Callable[[int], bytes] = os.urandom) -> MasterKey:
        """Make a key file with mode 0600; an existing file is never overwritten. Raises SecretError."""
        key = random_bytes(_OCTETS)
        try:
            _write(path, (key,), os.O_EXCL)
        except FileExistsError:
            raise SecretError(
                f"{path} exists already; a master key is never overwritten: all it seals would be lost. "
                'To change the key use "gatepost master-key rotate".'
            ) from None
        except OSError as error:
            raise SecretError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error
        return cls((key,), path)

    @property
    def key_id(self) -> str:
        """The id of the key that seals: 8 hexadecimal digits, no secret."""
        return next(iter(self._keys)).hex()

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all live keys, the sealing one first."""
        return tuple(key_id.hex() for key_id in self._keys)

    def check_value(self, key_id: str) -> str:
        """What the control database keeps, to know this key again: 32 hexadecimal digits, no secret."""
        return derive(self._keys[bytes.fromhex(key_id)], "check")[:16].hex()

    def subkey(self, purpose: str) -> bytes:
        """The sealing key's 32-octet sub-key for `purpose`; it changes when the master key is rotated."""
        return derive(next(iter(self._keys.values())), purpose)

    def sealer(self, purpose: str) -> Sealer:
        """Seals and opens values of one purpose ("dkim", "route", …) under all live keys."""
        return Sealer(self._subkeys(purpose), lambda: self._reloaded(purpose))

    def reload(self) -> None:
        """Look whether the file was rotated under us, and take what it holds now. Raises SecretError."""
        with self._lock:
            stamp = _stamp(self.path)
            if self.path is not None and stamp is not None and stamp != self._stamp:
                self._keys = {_key_id(key): key for key in _read(self.path)}
                self._stamp = stamp

    def add_new(self, random_bytes: Callable[[int], bytes] = os.urandom) -> MasterKey:
        """Write a new key before the old ones into the file; returns all. First step of a rotation."""
        return self._rewrite((random_bytes(_OCTETS), *self._keys.values()))

    def without_old(self) -> MasterKey:
        """Leave only the sealing key in the file. Last step of a rotation: nothing may need the others."""
        return self._rewrite((next(iter(self._keys.values())),))

    def _rewrite(self, keys: tuple[bytes, ...]) -> MasterKey:
        if self.path is None:
            return MasterKey(keys)
        beside = self.path.with_name(self.path.name + ".new")
        try:
            beside.unlink(missing_ok=True)
            _write(beside, keys, os.O_EXCL)
            beside.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise SecretError(
                f"{self.path} cannot be rewritten: {error.strerror}. Run this as a user who may write it; "
                "where systemd passes the key, rotate the file that LoadCredential= names."
            ) from error
        return MasterKey(keys, self.path)

    def _subkeys(self, purpose: str) -> dict[bytes, bytes]:
        return {key_id: derive(key, f"seal/{purpose}") for key_id, key in self._keys.items()}

    def _reloaded(self, purpose: str) -> dict[bytes, bytes]:
        self.reload()
        return self._subkeys(purpose)


class Sealer:
    """Seals and opens the secrets of one purpose. Safe to share between threads."""

    def __init__(
        self, subkeys: Mapping[bytes, bytes], reload: Callable[[], Mapping[bytes, bytes]] | None = None
    ) -> None:
        """`subkeys` maps 4-octet key ids to 32-octet keys, the sealing one first; `reload` is asked once for
        a key id that is not among them."""
        self._use(subkeys)
        self._reload = reload

    def _use(self, subkeys: Mapping[bytes, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in subkeys.items()}
        self._first = next(iter(self._ciphers))

    def seal(self, plaintext: bytes, *, tenant: str, table: str, row: str, column: str) -> bytes:
        """The sealed form of `plaintext`, to be stored at that place and nowhere else."""
        first = self._first
        nonce = os.urandom(_NONCE_OCTETS)
        place = _place(tenant, table, row, column)
        return bytes((_VERSION,)) + first + nonce + self._ciphers[first].encrypt(nonce, plaintext, place)

    def open(self, sealed: bytes, *, tenant: str, table: str, row: str, column: str) -> bytes:
        """What was sealed for that place. Raises SecretError."""
        where = f"{table} {row}"
        if len(sealed) < 1 + _ID_OCTETS + _NONCE_OCTETS + 16 or sealed[0] != _VERSION:
            raise SecretError(f"the sealed {column} of {where} is damaged or of a newer program")
        key_id = sealed[1 : 1 + _ID_OCTETS]
        cipher = self._cipher(key_id)
        if cipher is None:
            raise SecretError(
                f"the {column} of {where} is sealed under master key {key_id.hex()}, which this process "
                "does not have; restart it with the key file that has this key"
            )
        nonce = sealed[1 + _ID_OCTETS : 1 + _ID_OCTETS + _NONCE_OCTETS]
        body = sealed[1 + _ID_OCTETS + _NONCE_OCTETS :]
        try:
            return cipher.decrypt(nonce, body, _place(tenant, table, row, column))
        except InvalidTag:
            raise SecretError(
                f"the sealed {column} of {where} does not open: it was changed or moved"
            ) from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether a value is sealed under the key that seals now (else: seal it again)."""
        return sealed[:1] == bytes((_VERSION,)) and sealed[1 : 1 + _ID_OCTETS] == self._first

    def _cipher(self, key_id: bytes) -> AESGCM | None:
        if key_id not in self._ciphers and self._reload is not None:
            self._use(self._reload())
        return self._ciphers.get(key_id)


@dataclass(frozen=True, slots=True)
class KeyMark:
    """A live master key as the control database remembers it."""

    key_id: str
    check_value: str


def check_master_key(key: MasterKey, marks: tuple[KeyMark, ...]) -> None:
    """Refuse a key that is not the installation's. `marks`: every key that something may be sealed under.

    Raises SecretError; an installation without marks takes any key (it is new).
    """
    for mark in marks:
        place = key.path or "the given master key"
        if mark.key_id not in key.key_ids:
            raise SecretError(
                f"{place} is not this installation's master key: it is key {key.key_id}, and the control "
                f"database was made with key {mark.key_id}. Put the right file there, or name it in "
                "[master_key] file."
            )
        if not hmac.compare_digest(key.check_value(mark.key_id), mark.check_value):
            raise SecretError(f"{place} has another key than the control database knows as {mark.key_id}")


def _key_id(key: bytes) -> bytes:
    return derive(key, "id")[:_ID_OCTETS]


def _place(tenant: str, table: str, row: str, column: str) -> bytes:
    parts = [part.encode() for part in (tenant, table, row, column)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _read(path: Path) -> tuple[bytes, ...]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096)
    except FileNotFoundError:
        raise SecretError(
            f"There is no master key at {path}. Restore it from its backup; for a new installation "
            f'make one with "gatepost master-key create {path}".'
        ) from None
    except OSError as error:
        raise SecretError(f"The master key {path} cannot be read: {error.strerror}.") from error
    forbidden = 0o337 if _CREDENTIALS in path.parents else 0o077
    if not stat.S_ISREG(mode) or mode & forbidden:
        raise SecretError(
            f"The master key {path} can be read by others (mode {stat.S_IMODE(mode):04o}). "
            f"Run: chmod 600 {path}"
        )
    keys = tuple(_parse(line) for line in text.decode("ascii", "replace").split())
    if not keys or b"" in keys:
        raise SecretError(
            f"{path} holds no master key of gatepost (a line begins with {_PREFIX}). Restore it."
        )
    return keys


def _parse(line: str) -> bytes:
    """The key on a line; empty if it is none."""
    if not line.startswith(_PREFIX):
        return b""
    try:
        key = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return b""
    # Four octets of a hash find a key that was copied badly, before it makes nothing open.
    body, check = key[:-4], key[-4:]
    return body if len(body) == _OCTETS and hashlib.sha256(body).digest()[:4] == check else b""


def _write(path: Path, keys: tuple[bytes, ...], flags: int) -> None:
    lines = "".join(
        _PREFIX + base64.b64encode(key + hashlib.sha256(key).digest()[:4]).decode() + "\n" for key in keys
    )
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        os.fchmod(fd, 0o600)
        file.write(lines)
        file.flush()
        os.fsync(fd)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _stamp(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
