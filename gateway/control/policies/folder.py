"""Documents that belong together, from disk or as texts: all are read before anything is said about one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

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
    problems: list[Problem] = []
    sources = []
    for file, kind in _files(path, problems):
        text = _text_of(file, problems)
        if text is not None:
            sources.append(_Source(str(file), kind, file.name.removesuffix(_SUFFIX), text))
    return _read(sources, problems)


def read_documents(files: Iterable[tuple[str, str]]) -> DocumentTree:
    """Read documents given as (path, text): `NAME.toml` are policies, those in a folder "plans" are plans.

    Raises DocumentErrors with all mistakes of all files.
    """
    problems: list[Problem] = []
    sources: list[_Source] = []
    seen: dict[tuple[Kind, str], str] = {}
    for label, text in files:
        path = PurePosixPath(label)
        if path.suffix != _SUFFIX:
            problems.append(Problem(label, 0, "", f"a policy document's name ends in {_SUFFIX}"))
            continue
        source = _Source(label, "plan" if path.parent.name == _PLANS else "policy", path.stem, text)
        other = seen.setdefault((source.kind, source.name), label)
        if other != label:
            problems.append(Problem(label, 0, "", f"{other} is {source.kind} {source.name} too"))
        sources.append(source)
    if not sources and not problems:
        problems.append(Problem("", 0, "", "no policy document was given"))
    return _read(sources, problems)


@dataclass(frozen=True, slots=True)
class _Source:
    """A document that is yet to be read; `label` is how problems name its file."""

    label: str
    kind: Kind
    name: str
    text: str


def _read(sources: Iterable[_Source], problems: list[Problem]) -> DocumentTree:
    documents: list[Document] = []
    places: dict[str, TomlDocument] = {}
    for source in sources:
        read = read_document(source.text, source.label, source.kind, source.name)
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
