"""Sending quotas: exact, taken in the transaction that stores the message."""

from gateway.outgoing.quota.charges import charges_for
from gateway.outgoing.quota.values import Charge, Metric, QuotaRefused, Scope
from gateway.outgoing.quota.windows import Window, window_start

__all__ = ["Charge", "Metric", "QuotaRefused", "Scope", "Window", "charges_for", "window_start"]
