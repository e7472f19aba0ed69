"""What policy looks at and what it answers: facts in, a decision with its reason out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from gateway.control.records import DomainRecord
    from gateway.mail.address import Mailbox
    from gateway.mail.envelope import Envelope
    from gateway.mail.headers import Field, HeaderBlock, HeaderCounts
    from gateway.mail.mime import MimeScan
    from gateway.mail.reply import Reply

DEFAULT_STREAM = "default"
"""The stream of mail that names none."""

DomainLookup = Callable[[str], "Sequence[DomainRecord]"]
"""All claims to a domain (lower-case A-labels), of any tenant; memory only, asked for every message."""

FieldsByName = Mapping[bytes, "Sequence[Field]"]
"""A header's fields by lower-case name, each in order."""

Action = Literal["accept", "hold", "reject"]
StepOutcome = Literal["passed", "matched", "not matched", "refused"]


@dataclass(frozen=True, slots=True)
class Step:
    """One question that was asked, by its rule's name, and the answer; `detail` is for people."""

    rule: str
    outcome: StepOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """What the X-Gatepost fields of a header ask for; `stream` is never empty."""

    stream: str = DEFAULT_STREAM
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """What a caller of the API asks for beside the message; it goes before the fields of the header."""

    stream: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The installation's own limits on a message, from its configuration; no policy raises them."""

    header_fields: int = 1_000
    header_bytes: int = 100 * 1024
    hops: int = 50
    mime_parts: int = 1_000
    mime_depth: int = 100


class Scan(Protocol):
    """Finds a message's attachments when first asked: most messages are never asked about."""

    @property
    def is_made(self) -> bool:
        """Whether somebody asked, so that the next answer costs nothing."""
        ...

    def __call__(self) -> MimeScan:
        """The attachments."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything gathered about one message, as it goes on if it is accepted.

    `header` is empty where `counts` are over what is ever read: such a message is refused anyway. `by_name`
    has its fields by lower-case name, lines that are no fields under the empty one. `size` is in octets,
    line ends normalised. `long_line`: a line over 998 octets; `endless_line`: over 64 KiB. `at` is in
    seconds since 1970 (UTC). `default_stream` is the credential's. `scan` finds the attachments, on the
    first call only. `given` is what was asked for beside the message.
    """

    envelope: Envelope
    header: HeaderBlock
    by_name: FieldsByName
    body: bytes
    counts: HeaderCounts
    size: int
    nul: bool
    bare_newlines: bool
    long_line: bool
    endless_line: bool
    hops: int
    client_address: str
    at: float
    ceilings: Ceilings
    default_stream: str
    scan: Scan
    given: GivenOptions | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, with the rule that made it and the steps up to there.

    `reply` is set for a rejection only. `options` (the rules' tags added) and `author`, the From mailbox
    whose domain signs, are set for mail that is accepted or held.
    """

    action: Action
    rule: str
    reply: Reply | None
    steps: tuple[Step, ...]
    options: MessageOptions = MessageOptions()
    author: Mailbox | None = None
