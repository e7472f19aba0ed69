"""Both kinds of blob store keep one contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.system.blobs import BlobMissing, BlobsAway, BlobStore, LocalBlobs, ObjectBlobs, open_blobs


@pytest.fixture(params=["local", "object"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "local":
        return LocalBlobs(tmp_path / "blobs")
    pytest.importorskip("obstore")
    from obstore.store import MemoryStore

    # The client's own store in memory: an S3 server for tests has not been made to work.
    return ObjectBlobs(MemoryStore(), "memory")  # type: ignore[arg-type]


def test_what_is_put_can_be_got_until_it_is_deleted(blobs: BlobStore) -> None:
    blobs.put("queue/one", b"first")
    blobs.put("queue/one", b"again")
    blobs.put("queue/two", b"\x00" * 100_000)
    blobs.put("other/three", b"")
    assert blobs.get("queue/one") == b"again"
    assert blobs.get("other/three") == b""
    assert sorted((entry.key, entry.size) for entry in blobs.list("queue")) == [
        ("queue/one", 5),
        ("queue/two", 100_000),
    ]
    blobs.delete("queue/one")
    blobs.delete("queue/one")
    with pytest.raises(BlobMissing):
        blobs.get("queue/one")
    assert [entry.key for entry in blobs.list("queue")] == ["queue/two"]


@pytest.mark.parametrize(
    "key", ["queue", "queue/../x", "Queue/x", "queue//x", "/etc/passwd", "queue/a/b", "queue/"]
)
def test_a_key_never_leaves_its_folder(blobs: BlobStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a blob key"):
        blobs.put(key, b"x")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.system.blobs.os.fsync", fail)
    blobs = LocalBlobs(tmp_path)
    with pytest.raises(BlobsAway) as caught:
        blobs.put("queue/one", b"x" * 1000)
    assert caught.value.full
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_killed_writer_left_is_not_listed(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    blobs.put("queue/one", b"x")
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    file.rename(file.with_name(".writing-one"))
    assert list(blobs.list("queue")) == []


def test_addresses(tmp_path: Path) -> None:
    assert isinstance(open_blobs(str(tmp_path)), LocalBlobs)
    with pytest.raises(ValueError, match="neither a folder nor"):
        open_blobs("ftp://example.net/x")
