"""Where large bodies lie: a local folder, or S3-compatible storage. Durable when `put` returns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from obstore.store import S3Store

_KEY = re.compile(r"[a-z0-9]{1,32}/[a-z0-9][a-z0-9._-]{0,127}")
_TEMPORARY = ".writing-"
_FANOUT = re.compile(r"[0-9a-f]{2}")


class BlobMissing(Exception):
    """There is no blob of that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no blob {key}")
        self.key = key


class BlobsAway(Exception):
    """The blob store cannot be used just now. `full`: for want of space."""

    def __init__(self, where: str, why: str, *, full: bool = False) -> None:
        super().__init__(f"the blob store {where} cannot be used: {why}")
        self.full = full


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """One stored blob. `size` in octets, `modified_at` in seconds since 1970 (UTC)."""

    key: str
    size: int
    modified_at: float


class BlobStore(Protocol):
    """Octets under keys of the form `kind/name` (lower-case letters, digits, dot, dash)."""

    def put(self, key: str, data: bytes) -> None:
        """Store `data`; durable when this returns. Raises BlobsAway, and then nothing is left."""
        ...

    def get(self, key: str) -> bytes:
        """The octets of `key`. Raises BlobMissing or BlobsAway."""
        ...

    def delete(self, key: str) -> None:
        """Remove `key`; not being there is no error. Raises BlobsAway."""
        ...

    def list(self, kind: str) -> Iterator[BlobEntry]:
        """All blobs of a kind, in no order. Raises BlobsAway."""
        ...


def open_blobs(address: str) -> BlobStore:
    """The blob store at `address`: a folder's path, or `s3://bucket/prefix` with the AWS variables set.

    Raises BlobsAway if it cannot be opened, ValueError for an unknown kind of address.
    """
    if address.startswith("s3://"):
        return ObjectBlobs.open(address)
    if "://" in address and not address.startswith("file://"):
        raise ValueError(f"{address} is neither a folder nor s3://bucket/prefix")
    return LocalBlobs(Path(address.removeprefix("file://")))


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not a blob key (kind/name in lower case)")
    return key


class LocalBlobs:
    """Blobs as files in two levels of folders: `kind/ab/cd/name`. File and folder are fsynced."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, key: str, data: bytes) -> None:
        """Store `data`: written aside, fsynced, renamed, folder fsynced. Raises BlobsAway."""
        path = self._path(key)
        temporary = path.with_name(_TEMPORARY + path.name)
        try:
            self._make_folders(path.parent)
            try:
                _write_durably(temporary, data)
                temporary.rename(path)
                _sync_folder(path.parent)
            except BaseException:
                temporary.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._away(error) from error

    def get(self, key: str) -> bytes:
        """The octets of `key`. Raises BlobMissing or BlobsAway."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        except OSError as error:
            raise self._away(error) from error

    def delete(self, key: str) -> None:
        """Remove `key`. Not fsynced: one that comes back after a crash falls to the collector."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise self._away(error) from error

    def list(self, kind: str) -> Iterator[BlobEntry]:
        """All blobs of `kind`; files that were being written when a process died count too."""
        try:
            for path in (self.directory / kind).glob("*/*/*"):
                if not all(_FANOUT.fullmatch(part) for part in path.parts[-3:-1]):
                    continue
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                if path.name.startswith(_TEMPORARY):
                    self._remove_abandoned(path, status.st_mtime)
                    continue
                yield BlobEntry(f"{kind}/{path.name}", status.st_size, status.st_mtime)
        except OSError as error:
            raise self._away(error) from error

    def _path(self, key: str) -> Path:
        kind, _, name = _checked(key).partition("/")
        fanout = sha256(name.encode("ascii")).hexdigest()
        return self.directory / kind / fanout[:2] / fanout[2:4] / name

    def _make_folders(self, folder: Path) -> None:
        if folder.is_dir():
            return
        missing = [folder]
        while not missing[-1].parent.is_dir():
            missing.append(missing[-1].parent)
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(path.parent)

    def _remove_abandoned(self, path: Path, modified_at: float) -> None:
        # An hour is far longer than any write takes, so nobody is still writing it.
        newest = max(modified_at, path.parent.stat().st_mtime)
        if newest - modified_at > 3600:
            path.unlink(missing_ok=True)

    def _away(self, error: OSError) -> BlobsAway:
        return BlobsAway(str(self.directory), error.strerror or str(error), full=error.errno in _FULL)


_FULL = frozenset({28, 122, 27})
"""ENOSPC, EDQUOT, EFBIG."""


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ObjectBlobs:
    """Blobs in S3-compatible storage, through the optional `obstore` (`pip install gatepost[s3]`).

    Retries are few and bounded in time: the client that sends a message is waiting.
    """

    def __init__(self, store: S3Store, where: str) -> None:
        self._store = store
        self._where = where

    @classmethod
    def open(cls, address: str, **config: str) -> ObjectBlobs:
        """The store at `s3://bucket/prefix`; credentials and endpoint from the AWS variables or `config`.

        `config` has the library's names, such as `aws_access_key_id`, `aws_region`, `aws_endpoint`.

        Raises BlobsAway if the `obstore` package is not installed.
        """
        try:
            from obstore.store import S3Store
        except ImportError as error:
            why = "the package obstore is not installed: pip install 'gatepost[s3]'"
            raise BlobsAway(address, why) from error
        endpoint = config.get("aws_endpoint") or os.environ.get("AWS_ENDPOINT", "")
        store = S3Store.from_url(
            address,
            config=config or None,  # type: ignore[arg-type]
            client_options={
                "timeout": timedelta(seconds=4),
                "connect_timeout": timedelta(seconds=2),
                # Only where the operator wrote it so: an endpoint in the machine or the rack.
                "allow_http": endpoint.startswith("http://"),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=4)},
        )
        return cls(store, address)

    def put(self, key: str, data: bytes) -> None:
        """Store `data`. Raises BlobsAway."""
        import obstore

        with self._translated(key):
            obstore.put(self._store, _checked(key), data)

    def get(self, key: str) -> bytes:
        """The octets of `key`. Raises BlobMissing or BlobsAway."""
        import obstore

        with self._translated(key):
            return bytes(obstore.get(self._store, _checked(key)).bytes())

    def delete(self, key: str) -> None:
        """Remove `key`; not being there is no error. Raises BlobsAway."""
        import obstore

        try:
            with self._translated(key):
                obstore.delete(self._store, _checked(key))
        except BlobMissing:
            return

    def list(self, kind: str) -> Iterator[BlobEntry]:
        """All blobs of `kind`. Raises BlobsAway."""
        import obstore

        with self._translated(kind):
            for page in obstore.list(self._store, prefix=kind):
                for item in page:
                    yield BlobEntry(item["path"], item["size"], item["last_modified"].timestamp())

    def _translated(self, key: str) -> _ObjectErrors:
        return _ObjectErrors(self._where, key)


class _ObjectErrors:
    """Turns the library's errors into ours."""

    def __init__(self, where: str, key: str) -> None:
        self._where = where
        self._key = key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        from obstore.exceptions import BaseError, NotFoundError

        if isinstance(error, FileNotFoundError | NotFoundError):
            raise BlobMissing(self._key) from error
        if isinstance(error, BaseError | OSError):
            raise BlobsAway(self._where, str(error).splitlines()[0]) from error
