"""Sending quotas: exact, taken in the transaction that stores the message."""

from gateway.outgoing.quota.charges import charges_for
from gateway.outgoing.quota.counters import Counters, Key, keys_of
from gateway.outgoing.quota.values import Charge, Metric, QuotaRefused, Reached, Scope
from gateway.outgoing.quota.view import QuotaView
from gateway.outgoing.quota.windows import Window, next_window, window_start

__all__ = [
    "Charge",
    "Counters",
    "Key",
    "Metric",
    "QuotaRefused",
    "QuotaView",
    "Reached",
    "Scope",
    "Window",
    "charges_for",
    "keys_of",
    "next_window",
    "window_start",
]
