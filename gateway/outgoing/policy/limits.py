"""What a message may be like: its octets, its size, its recipients, its attachments."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from gateway.mail.message import LINE_LIMIT
from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.policy.facts import ENDLESS_LINE

if TYPE_CHECKING:
    from gateway.control.policies import Blocked, EffectivePolicy
    from gateway.mail.headers import HeaderCounts
    from gateway.mail.mime import Attachment
    from gateway.outgoing.policy.values import Ceilings, Facts


def check_message_bytes(policy: EffectivePolicy, octets: int) -> None:
    """The size, as declared in MAIL or as received (RFC 1870 §6.1). Raises Refusal."""
    limit = policy.message_bytes
    if not limit.allows(octets):
        text = f"message of {octets} octets is over the limit of {limit.value} octets ({limit.source})"
        raise Refusal(Reply(552, "5.3.4", text), "limits.message_bytes")


def check_recipients(policy: EffectivePolicy, count: int) -> None:
    """The number of recipients; the client may send the rest in another message. Raises Refusal."""
    limit = policy.recipients_per_message
    if not limit.allows(count):
        text = f"limit of {limit.value} recipients per message reached ({limit.source})"
        raise Refusal(Reply(452, "4.5.3", text), "limits.recipients_per_message")


def check_header_size(counts: HeaderCounts, ceilings: Ceilings) -> None:
    """The header is one we read at all: its fields and octets. Raises Refusal."""
    if counts.octets > ceilings.header_bytes:
        text = f"header of {counts.octets} octets is over the limit of {ceilings.header_bytes} octets"
        raise Refusal(Reply(552, "5.3.4", text), "header.bytes")
    if counts.fields > ceilings.header_fields:
        text = f"header of {counts.fields} fields is over the limit of {ceilings.header_fields} fields"
        raise Refusal(Reply(550, "5.6.0", text), "header.fields")


def check_header_form(facts: Facts) -> None:
    """Every line of the header is a field: others take what is none for the end of the header.

    Raises Refusal.
    """
    if b"" in facts.by_name:
        text = f"header line {_line_of_junk(facts)} is no field (RFC 5322 section 2.2)"
        raise Refusal(Reply(550, "5.6.0", text), "header.form")


def check_nul(facts: Facts) -> None:
    """No NUL octet anywhere (RFC 5321 §4.5.2). Raises Refusal."""
    if facts.nul:
        raise Refusal(Reply(550, "5.6.0", "the message has a NUL octet"), "content.nul")


def check_bare_newlines(facts: Facts, policy: EffectivePolicy) -> None:
    """CR and LF stand together only, where the policy insists. Raises Refusal."""
    if facts.bare_newlines and policy.sender.bare_newlines == "reject":
        document = policy.sources.get("sender.bare_newlines", policy.name)
        text = f"the message has a CR or LF that stands alone (sender.bare_newlines of {document})"
        raise Refusal(Reply(550, "5.6.0", text), "sender.bare_newlines")


def check_long_lines(facts: Facts, policy: EffectivePolicy) -> None:
    """No line over 998 octets (RFC 5322 §2.1.1), or, where the policy lets them pass, over 64 KiB.

    Raises Refusal.
    """
    if facts.endless_line:
        text = f"the message has a line over {ENDLESS_LINE} octets"
        raise Refusal(Reply(550, "5.6.0", text), "sender.long_lines")
    if facts.long_line and policy.sender.long_lines == "reject":
        document = policy.sources.get("sender.long_lines", policy.name)
        text = f"the message has a line over {LINE_LIMIT} octets (sender.long_lines of {document})"
        raise Refusal(Reply(550, "5.6.0", text), "sender.long_lines")


def check_hops(facts: Facts) -> None:
    """The message does not go in a circle (RFC 5321 §6.3). Raises Refusal."""
    if facts.hops > facts.ceilings.hops:
        text = f"too many hops: {facts.hops} Received fields, at most {facts.ceilings.hops}"
        raise Refusal(Reply(554, "5.4.6", text), "hops")


def check_attachments(facts: Facts, policy: EffectivePolicy) -> None:
    """Number, octets and kinds of attachments, where the policy limits any of them. Raises Refusal."""
    if not policy.limits_attachments:
        return
    attachments = scanned_attachments(facts)
    if not attachments:
        return
    limits = policy.attachments
    if not limits.count.allows(len(attachments)):
        limit = limits.count
        text = f"{len(attachments)} attachments are over the limit of {limit.value} ({limit.source})"
        raise Refusal(Reply(550, "5.7.1", text), "limits.attachments.count")
    octets = sum(attachment.size for attachment in attachments)
    if not limits.bytes.allows(octets):
        text = (
            f"attachments of {octets} octets are over the limit of {limits.bytes.value} octets "
            f"({limits.bytes.source})"
        )
        raise Refusal(Reply(552, "5.3.4", text), "limits.attachments.bytes")
    for blocked in limits.blocked:
        _check_blocked(blocked, attachments)


def scanned_attachments(facts: Facts) -> tuple[Attachment, ...]:
    """The attachments, where somebody must know them all. Raises Refusal if they cannot all be found."""
    scan = facts.scan()
    if scan.truncated:
        text = (
            f"the message has over {facts.ceilings.mime_parts} parts, parts nested over "
            f"{facts.ceilings.mime_depth} deep, or a part with an endless header: its attachments cannot "
            "be checked"
        )
        raise Refusal(Reply(550, "5.6.0", text), "limits.attachments.parts")
    return scan.attachments


def types_of(attachment: Attachment) -> tuple[str, ...]:
    """The type its content shows and the type it says it has."""
    declared = attachment.declared_type
    detected = attachment.detected_type
    return (declared,) if detected is None or detected == declared else (detected, declared)


def names_of(attachment: Attachment) -> tuple[str, ...]:
    """Every name a reader may save it under, without case; dots and spaces at the end do not count.

    Windows drops them when it saves a file: `setup.exe.` is `setup.exe` there.
    """
    names = (attachment.name, *attachment.other_names)
    return tuple(name.casefold().rstrip(". ") for name in names if name)


def _check_blocked(blocked: Blocked, attachments: tuple[Attachment, ...]) -> None:
    for attachment in attachments:
        values = types_of(attachment) if blocked.is_type else names_of(attachment)
        if any(blocked.pattern.matches(value.casefold()) for value in values):
            text = (
                f"attachment {_shown(attachment)} is not allowed: {blocked.pattern.text} ({blocked.source})"
            )
            raise Refusal(Reply(550, "5.7.1", text), "limits.attachments.blocked")


def _shown(attachment: Attachment) -> str:
    name = attachment.name[:80] or "without a name"
    return f'"{name}" of type {types_of(attachment)[0][:80]}'


def _line_of_junk(facts: Facts) -> int:
    before = itertools.takewhile(lambda field: field.name, facts.header.fields)
    return 1 + sum(field.raw.count(b"\n") for field in before)
