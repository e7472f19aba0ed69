"""Deciding about outgoing mail: pure. Facts and an effective policy in, a decision with its reason out."""

from gateway.outgoing.policy.decision import ACCEPTED, check_sender, decide
from gateway.outgoing.policy.explanation import Explanation, explain
from gateway.outgoing.policy.facts import gather_facts, index_fields
from gateway.outgoing.policy.identities import check_domains, check_from_header, check_reverse_path
from gateway.outgoing.policy.limits import check_header_size, check_message_bytes, check_recipients
from gateway.outgoing.policy.options import read_options, stream_name
from gateway.outgoing.policy.record import NotRecorded, Remembered, record_facts, restore_facts
from gateway.outgoing.policy.values import (
    DEFAULT_STREAM,
    Ceilings,
    Decision,
    DomainLookup,
    Facts,
    GivenOptions,
    MessageOptions,
    Step,
)

__all__ = [
    "ACCEPTED",
    "DEFAULT_STREAM",
    "Ceilings",
    "Decision",
    "DomainLookup",
    "Explanation",
    "Facts",
    "GivenOptions",
    "MessageOptions",
    "NotRecorded",
    "Remembered",
    "Step",
    "check_domains",
    "check_from_header",
    "check_header_size",
    "check_message_bytes",
    "check_recipients",
    "check_reverse_path",
    "check_sender",
    "decide",
    "explain",
    "gather_facts",
    "index_fields",
    "read_options",
    "record_facts",
    "restore_facts",
    "stream_name",
]
