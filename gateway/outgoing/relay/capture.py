"""The capture route: each transaction becomes a file, nothing leaves."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.outgoing.relay.transaction import Mail


class CaptureWriter:
    """Writes transactions into folders, durable when `write` returns.

    Files appear under their names whole, `<ID>-<n>-<attempt>.eml`, where n counts the transactions
    of a message. What piles up during one write is written as one group in a thread.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="capture")
        self._waiting: list[tuple[Path, Mail, asyncio.Future[str]]] = []
        self._running: asyncio.Task[None] | None = None

    async def write(self, folder: Path, mail: Mail) -> str:
        """Capture one transaction; returns the file's name. Raises OSError."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()
        self._waiting.append((folder, mail, done))
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._write_all())
        return await done

    def close(self) -> None:
        """Give the thread back; nothing may be under way."""
        self._pool.shutdown(wait=True)

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            pairs = [(folder, mail) for folder, mail, _ in group]
            results = await loop.run_in_executor(self._pool, _write_group, pairs)
            for (_, _, done), result in zip(group, results, strict=True):
                if done.done():
                    continue
                if isinstance(result, str):
                    done.set_result(result)
                else:
                    done.set_exception(result)


def _write_group(pairs: Sequence[tuple[Path, Mail]]) -> list[str | OSError]:
    results: list[str | OSError] = []
    for folder, mail in pairs:
        try:
            results.append(_write_one(folder, mail))
        except OSError as error:
            results.append(error)
    trouble: dict[Path, OSError] = {}
    for folder in {folder for folder, _ in pairs}:
        try:
            _sync_folder(folder)
        except OSError as error:
            trouble[folder] = error
    return [trouble.get(folder, result) for (folder, _), result in zip(pairs, results, strict=True)]


def _write_one(folder: Path, mail: Mail) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{mail.message_id}.{secrets.token_hex(6)}.tmp"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(envelope_fields(mail))
            file.write(mail.header)
            file.write(mail.content)
            file.flush()
            os.fsync(file.fileno())
        return _name_it(folder, draft, mail)
    finally:
        draft.unlink(missing_ok=True)


def _name_it(folder: Path, draft: Path, mail: Mail) -> str:
    """The first free number: a link, unlike a rename, never takes another transaction's place."""
    attempt = mail.recipients[0].attempt
    n = 1
    while True:
        name = f"{mail.message_id}-{n}-{attempt}.eml"
        try:
            (folder / name).hardlink_to(draft)
        except FileExistsError:
            n += 1
        else:
            return name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def envelope_fields(mail: Mail) -> bytes:
    """The envelope as header fields: the return path (`<>` for the null one) and each recipient."""
    lines = [f"X-Gatepost-Envelope-From: {mail.return_path or '<>'}"]
    lines.extend(f"X-Gatepost-Envelope-To: {recipient.address}" for recipient in mail.recipients)
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")
