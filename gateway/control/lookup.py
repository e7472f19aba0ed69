"""Finding a row by its name or its id, for a caller who may see it; and checking the words callers give."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from gateway.control.base import Base
from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.records import ENVIRONMENTS, Actor, Environment
from gateway.system.moments import FIRST_MOMENT, LAST_MOMENT

R = TypeVar("R", bound=Base)

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONGEST_NAME = 100
_MOST_METADATA = 50
_LONGEST_METADATA = 500
_LONGEST_REASON = 500


def is_id(reference: str) -> bool:
    """Whether a reference has the shape of an id, and so is none of a name."""
    return _UUID.fullmatch(reference.lower()) is not None


def find(
    session: Session,
    row_type: type[R],
    reference: str,
    *,
    kind: str,
    name: InstrumentedAttribute[str],
    key: str,
    visible: sa.ColumnElement[bool] | None = None,
) -> R:
    """The one row with this id, or whose `name` column equals `key`, among the `visible` ones.

    Raises NotFound (also for what the caller may not see), Conflict where a name means several.
    """
    condition = row_type.id == reference.lower() if is_id(reference) else name == key  # type: ignore[attr-defined]
    statement = sa.select(row_type).where(condition)
    if visible is not None:
        statement = statement.where(visible)
    rows = session.scalars(statement.limit(3)).all()
    if not rows:
        raise not_found(kind, reference)
    if len(rows) > 1:
        raise Conflict(
            "ambiguous",
            f"{reference} names several {kind}s, among them {', '.join(map(_told, rows))}.",
            f"Use the id instead; `gatepost {kind} list` shows it.",
        )
    return rows[0]


def _told(row: Any) -> str:
    """One of several of a name: its id, and whose it is where that tells them apart."""
    owner = getattr(row, "owner", None)
    if owner is None:
        return str(row.id)
    return f"{row.id} ({'shared' if owner == 'shared' else f'of tenant {owner}'})"


def not_found(kind: str, reference: str, fix: str | None = None) -> NotFound:
    """The answer for what is not there, and for what this caller may not know of.

    `fix`: what tells which there are, where that is not the kind's own list.
    """
    detail = f"There is no {kind} {shown(reference)}."
    return NotFound(f"{kind}-not-found", detail, fix or f"`gatepost {kind} list` shows them.")


def shown(text: str) -> str:
    """A caller's word, made safe to print in a sentence."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


def clean_name(name: str, what: str) -> str:
    """A resource's name: 1 to 100 printable characters, no space around it. Raises Invalid."""
    text = unicodedata.normalize("NFC", name.strip())
    if not text or len(text) > _LONGEST_NAME or not text.isprintable() or is_id(text):
        raise Invalid(
            "bad-name",
            f"{shown(name)} cannot be the name of a {what}.",
            f"Use 1 to {_LONGEST_NAME} printable characters that do not look like an id.",
        )
    return text


def name_key(name: str) -> str:
    """What names are compared by."""
    return unicodedata.normalize("NFC", name.strip()).casefold()


def parse_environment(name: str) -> Environment:
    """The environment with this name. Raises Invalid."""
    for known in ENVIRONMENTS:
        if known == name:
            return known
    raise Invalid(
        "bad-environment", f"{shown(name)} is no environment.", f"Choose one of {', '.join(ENVIRONMENTS)}."
    )


def environment_for(actor: Actor, name: str) -> Environment:
    """The environment of a new domain, shard or workspace. Raises Invalid, Forbidden (beyond the caller)."""
    known = parse_environment(name)
    if actor.workspace_id is not None:
        raise Forbidden(
            "workspace-limited",
            "This caller is limited to one workspace.",
            "Use a key of the tenant, or of the platform.",
        )
    if actor.environment not in (None, known):
        raise Forbidden(
            "environment-limited",
            f"This caller is limited to the environment {actor.environment}.",
            f"Say {actor.environment}, or use a key that is not limited to an environment.",
        )
    return known


def clean_reason(reason: str | None) -> str | None:
    """Why something is done, in up to 500 characters; None where nothing was said. Raises Invalid."""
    words = (reason or "").strip()
    if len(words) > _LONGEST_REASON:
        raise Invalid(
            "bad-reason",
            f"A reason of {len(words)} characters is too long.",
            f"Give at most {_LONGEST_REASON} characters.",
        )
    return words or None


def clean_moment(at: float) -> float:
    """A moment that a caller gave, in seconds since 1970. Raises Invalid for one that no calendar has."""
    if not FIRST_MOMENT <= at <= LAST_MOMENT:
        raise Invalid(
            "bad-time",
            "The time is before the year 1 or after the year 9999, in UTC.",
            "Write it as 2027-01-15T08:00:00Z, at most 9999-12-31T23:59:59Z.",
        )
    return at


class MetadataPatch(dict[str, Any]):
    """Pairs to merge into those that are there: None takes one away, what is not named stays (RFC 7396)."""


def clean_metadata(pairs: Mapping[str, str] | None, held: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's own pairs, at most 50, each text of at most 500 characters. Raises Invalid.

    They replace those that are `held`, unless they are a MetadataPatch.
    """
    metadata = dict(pairs or {})
    if isinstance(pairs, MetadataPatch):
        merged = {**(held or {}), **pairs}
        metadata = {key: value for key, value in merged.items() if value is not None}
    if len(metadata) > _MOST_METADATA or not all(_is_pair(*pair) for pair in metadata.items()):
        raise Invalid(
            "bad-metadata",
            "The metadata does not fit.",
            f"Give at most {_MOST_METADATA} pairs of text, keys up to {_LONGEST_NAME} and values up to "
            f"{_LONGEST_METADATA} characters, without NUL.",
        )
    return metadata


def _is_pair(key: str, value: object) -> bool:
    """A NUL does not fit: PostgreSQL keeps it in JSON, and then no query reads that row's pairs."""
    if not isinstance(value, str) or "\0" in key + value:
        return False
    return 0 < len(key) <= _LONGEST_NAME and len(value) <= _LONGEST_METADATA
