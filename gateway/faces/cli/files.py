"""Files on this machine: documents to hand to the API, and what it gave."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from gateway.faces.cli.output import EXIT_USAGE, CommandFailed
from gateway.system.toml_lines import Problem

_SUFFIX = ".toml"


def read_documents(path: Path, code: str, below: Container[str] | None = None) -> list[dict[str, str]]:
    """A file, or the documents of a folder and of the folders `below` it (None: of all), as `{path, text}`.

    Raises CommandFailed (`code`) with all files that cannot be read.
    """
    files = sorted(documents_in(path, below)) if path.is_dir() else [path]
    found: list[dict[str, str]] = []
    problems: list[Problem] = []
    for file in files:
        try:
            found.append({"path": _name(file), "text": file.read_bytes().decode("utf-8")})
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            problems.append(Problem(str(file), line, "", "not UTF-8"))
        except OSError as error:
            problems.append(Problem(str(file), 0, "", f"cannot be read: {error.strerror or error}"))
    if not files:
        problems.append(Problem(str(path), 0, "", f"no {_SUFFIX} file in this folder"))
    if problems:
        detail = "\n".join(map(str, problems))
        raise CommandFailed(code, detail, "Nothing was applied.", EXIT_USAGE, list(map(asdict, problems)))
    return found


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    with _replacing(path) as file:
        file.write(text)


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines as they come, as `write_private` does; how many there were."""
    count = 0
    with _replacing(path) as file:
        for count, line in enumerate(lines, 1):  # noqa: B007 - the last number is the result
            file.write(line + "\n")
    return count


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What is done to write `path`: where the system refuses it, CommandFailed says so."""
    try:
        yield
    except OSError as error:
        raise CommandFailed(
            "cannot-write",
            f"{path} cannot be written: {error.strerror or error}.",
            "Choose another place, or make room there.",
        ) from error


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A 0600 file that takes the place of `path` once it is written and safe on the disk.

    Raises CommandFailed.
    """
    partial = path.with_name(path.name + ".partial")
    with writing(path):
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with writing(path), os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with writing(path):
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def documents_in(folder: Path, below: Container[str] | None = None) -> Iterator[Path]:
    """The documents of a folder and of the folders `below` it (None: of all); hidden ones are left out."""
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.name.endswith(_SUFFIX) and entry.is_file():
            yield entry
        elif (below is None or entry.name in below) and entry.is_dir():
            yield from documents_in(entry, below)


def _name(file: Path) -> str:
    """The file as it was named, unless its folder, which says what it is, cannot be seen from that."""
    whole = file.absolute()
    return str(file if file.parent.name == whole.parent.name else whole)
