"""Gathering the facts about a message from its octets: once each, with whole-buffer operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.mail.headers import Field, HeaderBlock, count_header, parse_header, split_message
from gateway.mail.message import LINE_LIMIT, has_bare_newlines, has_line_over, has_nul
from gateway.mail.message import normalise_newlines as normalised
from gateway.mail.mime import MimeScan, scan_attachments
from gateway.outgoing.policy.values import DEFAULT_STREAM, Ceilings, Facts, FieldsByName, GivenOptions

if TYPE_CHECKING:
    from gateway.mail.envelope import Envelope

ENDLESS_LINE = 64 * 1024
"""Octets of a line that nobody takes, whatever the policy says."""


class _LazyScan:
    """Looks for attachments when first asked: most messages are never asked about."""

    __slots__ = ("_body", "_ceilings", "_header", "_result")

    def __init__(self, header: HeaderBlock, body: bytes, ceilings: Ceilings) -> None:
        self._header = header
        self._body = body
        self._ceilings = ceilings
        self._result: MimeScan | None = None

    @property
    def is_made(self) -> bool:
        """Whether somebody asked."""
        return self._result is not None

    def __call__(self) -> MimeScan:
        if self._result is None:
            self._result = scan_attachments(
                self._header,
                self._body,
                max_parts=self._ceilings.mime_parts,
                max_depth=self._ceilings.mime_depth,
            )
        return self._result


def index_fields(header: HeaderBlock) -> FieldsByName:
    """A header's fields by name, in one pass: the questions ask for a dozen names."""
    by_name: dict[bytes, list[Field]] = {}
    for field in header.fields:
        key = field.name.lower()
        known = by_name.get(key)
        if known is None:
            by_name[key] = [field]
        else:
            known.append(field)
    return by_name


def gather_facts(
    content: bytes,
    envelope: Envelope,
    *,
    client_address: str,
    at: float,
    ceilings: Ceilings,
    default_stream: str | None = None,
    given: GivenOptions | None = None,
) -> Facts:
    """The facts about `content` as a client handed it over (dots removed, line ends as they came).

    Bare CR and LF are made CRLF first: what policy reads is what would be signed. Never raises. A header
    over the ceilings is not parsed; `at` is in seconds since 1970 (UTC).
    """
    bare = has_bare_newlines(content)
    if bare:
        content = normalised(content)
    header_octets, body = split_message(content)
    counts = count_header(header_octets)
    is_readable = counts.fields <= ceilings.header_fields and counts.octets <= ceilings.header_bytes
    header = parse_header(header_octets) if is_readable else HeaderBlock(())
    by_name = index_fields(header)
    long_line = has_line_over(content, LINE_LIMIT)
    return Facts(
        envelope=envelope,
        header=header,
        by_name=by_name,
        body=body,
        counts=counts,
        size=len(content),
        nul=has_nul(content),
        bare_newlines=bare,
        long_line=long_line,
        endless_line=long_line and has_line_over(content, ENDLESS_LINE),
        hops=len(by_name.get(b"received", ())),
        client_address=client_address,
        at=at,
        ceilings=ceilings,
        default_stream=default_stream or DEFAULT_STREAM,
        scan=_LazyScan(header, body, ceilings),
        given=given,
    )
