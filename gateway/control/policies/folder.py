"""Documents on disk: a file or a folder, read whole before anything is said about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from gateway.control.policies.documents import DOCUMENT_LIMIT, Document, Kind, read_document
from gateway.control.policies.problems import DocumentErrors
from gateway.system.toml_lines import Problem, TomlDocument

_SUFFIX = ".toml"
_PLANS = "plans"


@dataclass(frozen=True, slots=True)
class DocumentTree:
    """Documents that were read together; `places` finds the lines of each, by its source."""

    documents: tuple[Document, ...]
    places: Mapping[str, TomlDocument]


def read_tree(path: Path | Traversable) -> DocumentTree:
    """Read one document, or a folder: `NAME.toml` are policies, `plans/NAME.toml` plans.

    A file is a plan if its folder is called "plans". Raises DocumentErrors with all mistakes of all files.
    """
    documents: list[Document] = []
    places: dict[str, TomlDocument] = {}
    problems: list[Problem] = []
    for file, kind in _files(path, problems):
        text = _text_of(file, problems)
        if text is None:
            continue
        read = read_document(text, str(file), kind, file.name.removesuffix(_SUFFIX))
        problems.extend(read.problems)
        if read.document is not None and read.toml is not None:
            documents.append(read.document)
            places[read.document.source] = read.toml
    if problems:
        raise DocumentErrors(problems)
    return DocumentTree(tuple(documents), places)


def _files(path: Path | Traversable, problems: list[Problem]) -> Iterator[tuple[Path | Traversable, Kind]]:
    if path.is_file():
        if path.name.endswith(_SUFFIX):
            is_plan = isinstance(path, Path) and path.absolute().parent.name == _PLANS
            yield path, "plan" if is_plan else "policy"
        else:
            problems.append(Problem(str(path), 0, "", f"a policy document's name ends in {_SUFFIX}"))
        return
    if not path.is_dir():
        problems.append(Problem(str(path), 0, "", "no such file or folder"))
        return
    is_plans = (path.absolute() if isinstance(path, Path) else path).name == _PLANS
    found = list(_in_folder(path, "plan" if is_plans else "policy"))
    if not found:
        problems.append(Problem(str(path), 0, "", f"no {_SUFFIX} file in this folder"))
    yield from found


def _in_folder(folder: Path | Traversable, kind: Kind) -> Iterator[tuple[Path | Traversable, Kind]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(_SUFFIX) and not entry.name.startswith(".") and entry.is_file():
            yield entry, kind
        elif entry.name == _PLANS and entry.is_dir():
            yield from _in_folder(entry, "plan")


def _text_of(file: Path | Traversable, problems: list[Problem]) -> str | None:
    try:
        octets = file.read_bytes()
        if len(octets) > DOCUMENT_LIMIT:
            problems.append(Problem(str(file), 0, "", f"longer than {DOCUMENT_LIMIT // 1024} KiB"))
            return None
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(Problem(str(file), line, "", "not UTF-8"))
    except OSError as error:
        problems.append(Problem(str(file), 0, "", f"cannot be read: {error.strerror or error}"))
    return None
