"""Documents on this machine, read to be handed to the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.faces.cli.output import EXIT_USAGE, CommandFailed

_SUFFIX = ".toml"


def read_documents(path: Path, *folders: str, code: str) -> list[dict[str, str]]:
    """A file, or a folder's documents and those of its sub-folders called `folders`, as `{path, text}`.

    Raises CommandFailed (`code`) with all files that cannot be read.
    """
    files = sorted(_in_folder(path, folders)) if path.is_dir() else [path]
    found, problems = [], []
    for file in files:
        try:
            found.append({"path": _name(file), "text": file.read_bytes().decode("utf-8")})
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            problems.append(f"{file}:{line}: not UTF-8")
        except OSError as error:
            problems.append(f"{file}: cannot be read: {error.strerror or error}")
    if not files:
        problems.append(f"{path}: no {_SUFFIX} file in this folder")
    if problems:
        raise CommandFailed(code, "\n".join(problems), "Nothing was applied.", EXIT_USAGE)
    return found


def _in_folder(folder: Path, below: tuple[str, ...]) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name.endswith(_SUFFIX) and not entry.name.startswith(".") and entry.is_file():
            yield entry
        elif entry.name in below and entry.is_dir():
            yield from _in_folder(entry, below)


def _name(file: Path) -> str:
    """The file as it was named, unless its folder, which says what it is, cannot be seen from that."""
    whole = file.absolute()
    return str(file if file.parent.name == whole.parent.name else whole)
