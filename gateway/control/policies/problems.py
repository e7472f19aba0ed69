"""Collecting every mistake of a document before saying no."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.system.toml_lines import Path, Problem, TomlDocument, did_you_mean

_ALLOWED = "; allowed: "


@dataclass(slots=True)
class ProblemList:
    """The mistakes of one document, by where they stand in it."""

    document: TomlDocument
    found: list[Problem] = field(default_factory=list)

    def add(self, path: Path, message: str) -> None:
        """Note a mistake at `path`; what is allowed there ends the message, after "; allowed: "."""
        self.found.append(self.document.problem(path, message, message.partition(_ALLOWED)[2]))

    def unknown_key(self, path: Path, allowed: Iterable[str]) -> None:
        """Note a key that is not known where it stands."""
        known = sorted(allowed)
        hint = did_you_mean(str(path[-1]), known)
        self.add(path, f"unknown key{hint}{_ALLOWED}{', '.join(known)}")


class DocumentErrors(ValueError):
    """Documents with mistakes: all of them, by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))
        super().__init__("\n".join(map(str, self.problems)))
