"""What is kept of a message so that it can be decided about again: as a text, and back to facts.

Kept is what rules and limits can ask about and no other row of the queue tells: the header as it came, the
attachments where they were looked for, sizes and form. What is too large is left out by name: a question
about it has no answer then (`NotRecorded`), never a wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gateway.mail.headers import Field, HeaderBlock, HeaderCounts, parse_header
from gateway.mail.mime import Attachment, MimeScan
from gateway.outgoing.policy.facts import index_fields
from gateway.outgoing.policy.values import DEFAULT_STREAM, Ceilings, Facts, GivenOptions

if TYPE_CHECKING:
    from gateway.control.records import AccountRecord
    from gateway.mail.address import Mailbox
    from gateway.mail.envelope import Envelope

HEADER_OCTETS = 3_000
"""Of a header that are kept; with the rest a record seldom goes over a page of SQLite's."""

_FIELD_OCTETS = 1_000
_ATTACHMENTS = 20
_NAME_CHARACTERS = 200
_ALIASES = 20
_SMALL_OCTETS = 32 * 1024

_TRACES = frozenset({b"received", b"dkim-signature", b"authentication-results", b"arc-seal"}) | frozenset(
    {b"arc-message-signature", b"arc-authentication-results", b"x-google-dkim-signature"}
)
_ESSENTIAL = frozenset(
    {b"from", b"sender", b"resent-from", b"resent-sender"}
    | {b"x-gatepost-stream", b"x-gatepost-tag", b"x-gatepost-metadata"}
)


class NotRecorded(LookupError):
    """A question about something of a message that was not kept; `what` names it as rules do."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was not recorded")
        self.what = what


@dataclass(frozen=True, slots=True)
class Remembered:
    """A message as it was decided about: its facts, and which addresses its account had then."""

    facts: Facts
    address: str
    aliases: tuple[str, ...]


def record_facts(facts: Facts, account: AccountRecord, author: Mailbox) -> str:
    """The record of a message that was accepted. Bounded, whatever the message is like."""
    header, left_out = _kept_header(facts)
    record: dict[str, Any] = {"s": facts.size, "a": account.address, "h": header}
    if left_out:
        record["x"] = left_out
    if facts.long_line:
        record["l"] = 1
    if facts.bare_newlines:
        record["b"] = 1
    if facts.default_stream != DEFAULT_STREAM:
        record["d"] = facts.default_stream
    if facts.given is not None:
        record["o"] = [facts.given.stream, facts.given.tags, dict(facts.given.metadata)]
    commands = facts.envelope.recipients
    if len(commands) > 1:
        record["n"] = len(commands)
    if account.aliases and _may_use_alias(facts, account, author):
        record["k"] = account.aliases if len(account.aliases) <= _ALIASES else None
    _add_attachments(record, facts)
    return json.dumps(record, separators=(",", ":"))


def restore_facts(text: str, envelope: Envelope, *, client_address: str, at: float) -> Remembered:
    """A record as facts again. `envelope` has its recipients once each; `at` is when the message came.

    Raises NotRecorded if too little was kept to decide anything; asking the facts may raise it later.
    """
    record = json.loads(text)
    left_out = frozenset(name.encode("utf-8", "surrogateescape") for name in record.get("x", ()))
    if not left_out.isdisjoint(_ESSENTIAL):
        raise NotRecorded("header.from")
    aliases = record.get("k", ())
    if aliases is None:
        raise NotRecorded("the account's aliases")
    octets = record["h"].encode("utf-8", "surrogateescape")
    header = parse_header(octets)
    facts = Facts(
        envelope=_with_repeated(envelope, record.get("n", 1)),
        header=header,
        by_name=_Fields(header, left_out),
        body=b"",
        counts=HeaderCounts(0, 0),
        size=record["s"],
        nul=False,
        bare_newlines="b" in record,
        long_line="l" in record,
        endless_line=False,
        hops=0,
        client_address=client_address,
        at=at,
        ceilings=Ceilings(),
        default_stream=record.get("d", DEFAULT_STREAM),
        scan=_RecordedScan(record),
        given=_given(record.get("o")),
    )
    return Remembered(facts, record["a"], tuple(aliases))


def _kept_header(facts: Facts) -> tuple[str, list[str]]:
    if facts.counts.octets <= HEADER_OCTETS and _TRACES.isdisjoint(facts.by_name):
        return _as_text(facts.header.raw), []
    kept: list[bytes] = []
    left_out: dict[bytes, None] = {}
    room = HEADER_OCTETS
    for field in facts.header.fields:
        octets = len(field.raw)
        if field.key in _TRACES or octets > min(room, _FIELD_OCTETS) or field.key in left_out:
            left_out[field.key] = None
        else:
            room -= octets
            kept.append(field.raw)
    return _as_text(b"".join(kept)), [_as_text(name[:_NAME_CHARACTERS]) for name in left_out]


def _may_use_alias(facts: Facts, account: AccountRecord, author: Mailbox) -> bool:
    path = facts.envelope.reverse_path
    if author.key != account.address or (path is not None and path.key != account.address):
        return True
    return not _ESSENTIAL.isdisjoint(facts.by_name.keys() - {b"from"})


def _add_attachments(record: dict[str, Any], facts: Facts) -> None:
    """Those that were looked for. Where nobody did, only what is quickly looked through is."""
    if not facts.scan.is_made:
        types = facts.by_name.get(b"content-type", ())
        if len(facts.body) > _SMALL_OCTETS or any(b"multipart" in field.raw.lower() for field in types):
            return
    scan = facts.scan()
    if scan.truncated or len(scan.attachments) > _ATTACHMENTS:
        return
    rows = [_attachment_row(attachment) for attachment in scan.attachments]
    if None not in rows:
        record["t"] = rows


def _attachment_row(one: Attachment) -> list[Any] | None:
    names = (one.name, *one.other_names)
    texts = (*names, one.declared_type, one.detected_type or "")
    if any(len(text) > _NAME_CHARACTERS for text in texts):
        return None
    row: list[Any] = [one.name, one.declared_type, one.detected_type, one.size]
    return [*row, *one.other_names]


class _Fields(dict[bytes, list[Field]]):
    """A header's fields by name; what was left out is not known to be missing."""

    def __init__(self, header: HeaderBlock, left_out: frozenset[bytes]) -> None:
        super().__init__({name: list(fields) for name, fields in index_fields(header).items()})
        self._left_out = left_out

    def get(self, key: bytes, default: Any = None) -> Any:
        """The fields of a name. Raises NotRecorded."""
        if key in self._left_out:
            raise NotRecorded(f"header.{key.decode('utf-8', 'replace')}")
        return super().get(key, default)


class _RecordedScan:
    """The attachments as they were found then."""

    __slots__ = ("_rows",)

    def __init__(self, record: dict[str, Any]) -> None:
        self._rows: list[list[Any]] | None = record.get("t")

    @property
    def is_made(self) -> bool:
        """It was, or cannot be any more."""
        return True

    def __call__(self) -> MimeScan:
        """What was found. Raises NotRecorded if nobody had looked."""
        if self._rows is None:
            raise NotRecorded("attachments")
        found = tuple(
            Attachment(name, declared, detected, size, tuple(others))
            for name, declared, detected, size, *others in self._rows
        )
        return MimeScan(found, len(found) + 1, 0, truncated=False)


def _with_repeated(envelope: Envelope, count: int) -> Envelope:
    """The envelope with as many recipients as it had: the queue has each of them once."""
    missing = count - len(envelope.recipients)
    if missing <= 0:
        return envelope
    return replace(envelope, recipients=(*envelope.recipients, *(envelope.recipients[:1] * missing)))


def _given(row: Iterable[Any] | None) -> GivenOptions | None:
    if row is None:
        return None
    stream, tags, metadata = row
    return GivenOptions(stream, tuple(tags), metadata)


def _as_text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
