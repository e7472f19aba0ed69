"""Policies and plans: documents, what they resolve to, and their rules.

The service and its tables are in `gateway.control.policies.service`, apart from the values that the data
plane and the pure rooms read.
"""

from gateway.control.policies.effective import (
    AttachmentLimits,
    Blocked,
    DocumentVersion,
    EffectivePolicy,
    Limit,
    QueueRules,
    Residency,
    Retention,
    ScopeLimits,
    SenderRules,
    Sharding,
    StreamRules,
)
from gateway.control.policies.resolution import Excess, PolicySet, UnknownDocument
from gateway.control.policies.rules import Rule

__all__ = [
    "AttachmentLimits",
    "Blocked",
    "DocumentVersion",
    "EffectivePolicy",
    "Excess",
    "Limit",
    "PolicySet",
    "QueueRules",
    "Residency",
    "Retention",
    "Rule",
    "ScopeLimits",
    "SenderRules",
    "Sharding",
    "StreamRules",
    "UnknownDocument",
]
