"""A full disk defers mail and a database that is away too; nothing is half written, nothing is lost."""

import os
import smtplib
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import PostgresqlServer, running_server
from tests.support.gateway import Gateway, plain_message, submit, wait_until

ANSWER_SECONDS = 5.0
DISK = "16m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs", str(folder)]
    try:
        result = subprocess.run(mount, capture_output=True, text=True, check=False)
        problem = result.stderr.strip() if result.returncode else ""
    except FileNotFoundError:
        problem = "there is no program `mount`"
    if problem:
        message = f"no file system can be mounted here: {problem}; run as root to try a full disk"
        if os.environ.get("GATEPOST_REQUIRE_PEERS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def on_disk(tmp_path: Path, disk: Path, limits: str) -> Gateway:
    """A gateway whose location lies on `disk`."""
    gateway = Gateway(tmp_path / "var", settings=f"\n[limits]\n{limits}\n")
    for old, new in (("location.db", disk / "location.db"), ("blobs", disk / "blobs")):
        gateway.edit_config(lambda text, old=old, new=new: text.replace(f"{gateway.folder}/{old}", str(new)))
    return gateway.start()


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Fill the file system but for `leave` octets; remove the file to make room again."""
    filler = disk / "filler"
    status = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - leave))
    return filler


def answer(
    client: smtplib.SMTP, gateway: Gateway, size: int = 10, recipients: tuple[str, ...] = ("x@example.org",)
) -> tuple[int, bytes, float]:
    """The reply to one message of about `size` octets, and how long the client waited for it."""
    content = plain_message(gateway.address, body="\r\n".join("x" * 70 for _ in range(size // 72 + 1)))
    began = time.monotonic()
    try:
        message_id = submit(client, content, recipients, gateway.address)
    except smtplib.SMTPResponseException as refusal:
        return refusal.smtp_code, refusal.smtp_error, time.monotonic() - began
    return 250, message_id.encode(), time.monotonic() - began


def assert_deferred(reply: tuple[int, bytes, float], start: bytes, *, within: float = ANSWER_SECONDS) -> None:
    code, text, seconds = reply
    assert b"%d %s" % (code, text[: len(start) - 4]) == start, text
    assert seconds < within


def captures(gateway: Gateway) -> dict[str, int]:
    """How often each message left."""
    count: dict[str, int] = {}
    for path in Path(gateway.state["captured"]).glob("*.eml"):
        key = path.name.rsplit("-", 2)[0]
        count[key] = count.get(key, 0) + 1
    return count


def stored(disk: Path) -> set[str]:
    """The ids of all messages in the location, after a look at the whole file."""
    with sqlite3.connect(f"file:{disk}/location.db?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = {row[0] for row in connection.execute("SELECT id FROM message")}
    connection.close()
    return rows


def test_a_full_disk_defers_and_keeps_what_is_queued(tmp_path: Path, disk: Path) -> None:
    gateway = on_disk(tmp_path, disk, 'message_bytes = "1 MiB"\nfree_space_bytes = "1 MiB"')
    gateway.cli("shard", "pause", gateway.state["shard"])
    gateway.obeyed()
    with gateway.smtp() as client:
        queued = {answer(client, gateway, size)[1] for size in (10, 10, 30_000, 200_000)}
        filler = fill(disk)
        for size in (10, 30_000, 200_000):
            assert_deferred(answer(client, gateway, size), b"452 4.3.1")
        # The relay cannot note what it does now, so it must not do it.
        gateway.cli("shard", "resume", gateway.state["shard"])
        for _ in range(3):
            assert_deferred(answer(client, gateway), b"452 4.3.1")
            time.sleep(0.5)
        filler.unlink()
        code, accepted, _ = answer(client, gateway, 200_000)
        assert code == 250
    expected = {text.decode() for text in {*queued, accepted}}
    wait_until(lambda: set(captures(gateway)) >= expected, what="all accepted mail")
    wait_until(lambda: not gateway.cli("queue", "list"), what="an empty queue")
    assert captures(gateway) == dict.fromkeys(expected, 1)
    assert stored(disk) == expected
    assert gateway.stop() == 0
    assert [path for path in (disk / "blobs").rglob("*") if path.is_file()] == []


def test_a_commit_without_room_leaves_nothing(tmp_path: Path, disk: Path) -> None:
    gateway = on_disk(tmp_path, disk, 'message_bytes = "64 KiB"\nfree_space_bytes = 0')
    # A row for each recipient: far more to write than the message is large.
    many = tuple(f"{'x' * 60}{n}@example.org" for n in range(600))
    with gateway.smtp() as client:
        first = answer(client, gateway)[1].decode()
        gateway.captured(first)
        # The guard in front asks for 96 KiB, one and a half of the largest message; the commit needs over 320.
        filler = fill(disk, leave=224 * 1024)
        assert_deferred(answer(client, gateway, 50_000, many), b"452 4.3.1", within=30.0)
        assert any(line["event"] == "queue_not_written" for line in gateway.log_lines())
        assert stored(disk) == {first}
        filler.unlink()
        code, second, _ = answer(client, gateway, 50_000, many)
        assert code == 250
    gateway.captured(second.decode())
    assert stored(disk) == {first, second.decode()}
    assert gateway.stop() == 0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server that may be stopped."""
    with running_server() as running:
        yield running


def test_a_location_that_is_away_defers_and_comes_back(tmp_path: Path, server: PostgresqlServer) -> None:
    gateway = Gateway(tmp_path / "var")
    url = server.create()
    gateway.edit_config(lambda text: text.replace(f'"sqlite:///{gateway.folder}/location.db"', f'"{url}"'))
    gateway.start()
    accepted = []
    with gateway.smtp() as client:
        # These are still on their way when the database goes.
        accepted += [answer(client, gateway, size)[1] for size in (10, 100_000) * 10]
        server.stop()
        for size in (10, 10, 100_000):
            assert_deferred(answer(client, gateway, size), b"451 4.3.0")
        server.start_again()
        reply = wait_until(lambda: (r := answer(client, gateway))[0] == 250 and r, what="a 250")
        accepted.append(reply[1])
    expected = {text.decode() for text in accepted}
    wait_until(lambda: set(captures(gateway)) >= expected, 30, "all accepted mail")
    wait_until(lambda: not gateway.cli("queue", "list"), 30, "an empty queue")
    assert set(captures(gateway)) == expected
    assert {row["id"] for row in gateway.cli("queue", "list", "--state", "all")} == expected
    assert gateway.stop() == 0


def test_a_control_database_that_is_away_defers(
    tmp_path: Path, server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.create()
    monkeypatch.setenv("GATEPOST_CONTROL__URL", url)
    gateway = Gateway(tmp_path / "var").start()
    with gateway.smtp() as client:
        assert answer(client, gateway)[0] == 250
        server.take_away(url)
        # Until 2 s have passed what is known may still be obeyed.
        refusal = wait_until(lambda: (r := answer(client, gateway))[0] != 250 and r, 6, "a refusal")
        assert_deferred(refusal, b"451 4.3.0")
        with pytest.raises(smtplib.SMTPResponseException) as caught, gateway.smtp():
            pass
        assert caught.value.smtp_code in (451, 454, 421)
        server.give_back(url)
        wait_until(lambda: answer(client, gateway)[0] == 250, what="a 250")
    assert gateway.stop() == 0
