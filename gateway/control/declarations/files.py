"""The files of declarations on disk: read whole, with paths that say in which folder each lies; and written.

Nothing of the database is imported here: the command line sends files to whoever serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.system.toml_lines import Problem

_SUFFIX = ".toml"
_LARGEST = 16 * 1024 * 1024


class UnreadableFiles(ValueError):
    """Files that cannot be read: `problems` has all of them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def read_files(path: Path) -> tuple[tuple[str, str], ...]:
    """A file, or every .toml file in a folder and below it, as (path, text); hidden ones are left out.

    Paths begin with the name of the folder: it tells policies from declarations. Raises UnreadableFiles.
    """
    problems: list[Problem] = []
    whole = path.resolve()
    top = whole.parent if whole.is_dir() else whole.parent.parent
    files = []
    for file in _found(whole, problems):
        text = _text_of(file, problems)
        if text is not None:
            files.append((file.relative_to(top).as_posix(), text))
    if not files and not problems:
        problems.append(Problem(str(path), 0, "", f"no {_SUFFIX} file in this folder"))
    if problems:
        raise UnreadableFiles(problems)
    return tuple(files)


def write_files(folder: Path, files: Iterable[tuple[str, str]]) -> tuple[Path, ...]:
    """Write exported files below a folder, which is made; returns their paths. Raises OSError."""
    written = []
    for name, text in files:
        target = folder.joinpath(*name.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        written.append(target)
    return tuple(written)


def _found(path: Path, problems: list[Problem]) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        for file in sorted(path.rglob("*" + _SUFFIX)):
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield file
    else:
        problems.append(Problem(str(path), 0, "", "no such file or folder"))


def _text_of(file: Path, problems: list[Problem]) -> str | None:
    try:
        octets = file.read_bytes()
        if len(octets) > _LARGEST:
            problems.append(Problem(str(file), 0, "", f"longer than {_LARGEST >> 20} MiB"))
            return None
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(Problem(str(file), line, "", "not UTF-8"))
    except OSError as error:
        problems.append(Problem(str(file), 0, "", f"cannot be read: {error.strerror or error}"))
    return None
