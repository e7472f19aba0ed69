"""Sending quotas: exact, taken in the transaction that stores the message."""

from gateway.outgoing.quota.charges import charges_for
from gateway.outgoing.quota.counters import Counters, Key, keys_of
from gateway.outgoing.quota.values import Charge, Metric, QuotaRefused, Scope
from gateway.outgoing.quota.view import QuotaView
from gateway.outgoing.quota.windows import Window, window_start

__all__ = [
    "Charge",
    "Counters",
    "Key",
    "Metric",
    "QuotaRefused",
    "QuotaView",
    "Scope",
    "Window",
    "charges_for",
    "keys_of",
    "window_start",
]
