"""Captured transactions as files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.outgoing.relay.capture import CaptureWriter
from tests.integration.outgoing.relay.parts import CONTENT, mail, recipient


async def test_files_are_whole_private_and_numbered_by_transaction(tmp_path: Path) -> None:
    writer = CaptureWriter()
    folder = tmp_path / "deep" / "captured"
    names = await asyncio.gather(*(writer.write(folder, mail(f"r{n}@example.net")) for n in range(5)))
    again = await writer.write(folder, mail(recipients=(recipient(attempt=2),)))
    writer.close()
    identifier = "0" * 26
    assert sorted(names) == [f"{identifier}-{n}-1.eml" for n in range(1, 6)]
    assert again == f"{identifier}-1-2.eml"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, again])
    assert (folder / again).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / again).read_bytes() == (
        b"X-Gatepost-Envelope-From: token@s1.acme.example\r\n"
        b"X-Gatepost-Envelope-To: b@example.net\r\nX-Sig: 1\r\n" + CONTENT
    )


async def test_the_null_return_path_and_addresses_beyond_ascii(tmp_path: Path) -> None:
    writer = CaptureWriter()
    name = await writer.write(tmp_path, mail("größe@example.net", return_path=""))
    writer.close()
    lines = (tmp_path / name).read_bytes().split(b"\r\n")
    assert lines[:2] == [
        b"X-Gatepost-Envelope-From: <>",
        "X-Gatepost-Envelope-To: größe@example.net".encode(),
    ]


async def test_one_bad_folder_fails_only_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    writer = CaptureWriter()
    good, bad = await asyncio.gather(
        writer.write(tmp_path / "good", mail()),
        writer.write(tmp_path / "file" / "below", mail()),
        return_exceptions=True,
    )
    writer.close()
    assert isinstance(good, str)
    assert isinstance(bad, OSError)
    assert os.listdir(tmp_path / "good") == [good]


async def test_giving_up_waiting_leaves_the_writer_working(tmp_path: Path) -> None:
    writer = CaptureWriter()
    waiting = asyncio.ensure_future(writer.write(tmp_path, mail()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await writer.write(tmp_path, mail())
    writer.close()
