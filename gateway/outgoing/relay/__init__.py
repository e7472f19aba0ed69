"""Takes queued mail onward: fair order, connections, transactions, outcomes."""

from gateway.outgoing.relay.channel import Timeouts
from gateway.outgoing.relay.dispatch import Bounds
from gateway.outgoing.relay.ledger import DeadLedger, DotMark, dead_ledgers
from gateway.outgoing.relay.relay import Relay, RelaySettings
from gateway.outgoing.relay.reports import DsnRequest, ReportedRecipient, WriteReport
from gateway.outgoing.relay.routes import (
    CaptureRoute,
    MxRoute,
    Route,
    RouteError,
    SmarthostRoute,
    route_of,
)
from gateway.outgoing.relay.settlement import RelayMetrics

__all__ = [
    "Bounds",
    "CaptureRoute",
    "DeadLedger",
    "DotMark",
    "DsnRequest",
    "MxRoute",
    "Relay",
    "RelayMetrics",
    "RelaySettings",
    "ReportedRecipient",
    "Route",
    "RouteError",
    "SmarthostRoute",
    "Timeouts",
    "WriteReport",
    "dead_ledgers",
    "route_of",
]
