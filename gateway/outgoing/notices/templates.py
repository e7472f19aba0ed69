"""Templates of notices: packaged text files, before which an operator's of the same names go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import structlog

from gateway.outgoing.notices.kinds import PLACEHOLDERS, Kind

_SUBJECT = "Subject:"
_LONGEST_VALUE = 300
_LONGEST_SUBJECT = 200


class TemplateInvalid(ValueError):
    """A template that cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice in words: `subject` is one line, `text` has LF line ends."""

    subject: str
    text: str


class Templates:
    """One template for each kind of notice."""

    def __init__(self, templates: Mapping[Kind, Template]) -> None:
        """Use `load`."""
        self._templates = templates

    @classmethod
    def load(cls, folder: Path | None = None) -> Templates:
        """Read the packaged templates, and those in `folder` in place of theirs.

        One of `folder` that cannot be used is named in the log, and the packaged one stays.
        """
        log = structlog.get_logger("gateway.outgoing.notices")
        templates = {}
        for kind in Kind:
            templates[kind] = read_template(kind, packaged_folder() / f"{kind}.txt")
            if folder is not None and (own := folder / f"{kind}.txt").is_file():
                try:
                    templates[kind] = read_template(kind, own)
                except (TemplateInvalid, OSError) as error:
                    log.error("notice_template_unusable", file=str(own), reason=str(error))
        return cls(templates)

    def render(self, kind: Kind, values: Mapping[str, str]) -> Letter:
        """The notice; what a value holds stays within one line, whoever chose it. Missing ones are empty."""
        clean = {name: _one_line(values.get(name, "")) for name in PLACEHOLDERS[kind]}
        first, _, rest = self._templates[kind].substitute(clean).partition("\n")
        subject = _one_line(first.removeprefix(_SUBJECT))[:_LONGEST_SUBJECT]
        return Letter(subject, re.sub(r"\n{3,}", "\n\n", rest.strip("\n")) + "\n")


def read_template(kind: Kind, file: Traversable | Path) -> Template:
    """A template from its file. Raises TemplateInvalid, OSError."""
    try:
        text = file.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise TemplateInvalid(f"{file.name} is not UTF-8 text (octet {error.start})") from None
    if not text.startswith(_SUBJECT):
        raise TemplateInvalid(f"the first line of {file.name} must begin with {_SUBJECT}")
    template = Template(text)
    if not template.is_valid():
        raise TemplateInvalid(f"{file.name} has a $ that begins no name; write $$ for one that is meant")
    unknown = sorted(set(template.get_identifiers()) - PLACEHOLDERS[kind])
    if unknown:
        known = ", ".join(sorted(PLACEHOLDERS[kind]))
        raise TemplateInvalid(f"{file.name} names ${unknown[0]}, which there is not; there are {known}")
    return template


def packaged_folder() -> Traversable:
    """Where the packaged templates lie: in a wheel below gateway/data, in a checkout in conf."""
    installed = resources.files("gateway") / "data" / "conf" / "notices"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "conf" / "notices"


def _one_line(text: str) -> str:
    """`text` without line ends, other control characters and what reorders a line."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:_LONGEST_VALUE]
