"""Events in the order of their commits, usage, facts of accepted mail, deliveries of webhooks."""

from __future__ import annotations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
oldest = "0001"


def upgrade() -> None:
    """Add columns and tables; a program of the schema before goes on beside it."""
    _order_events()
    _make_usage()
    _keep_facts()
    _make_idempotency()
    _make_webhook_deliveries()
    _make_notices()


def _order_events() -> None:
    """What puts events of concurrent transactions in the order of their commits."""


def _make_usage() -> None:
    """Counts by tenant and workspace for reports."""


def _keep_facts() -> None:
    """What policy saw of a message, for replays."""


def _make_idempotency() -> None:
    """Messages taken by the API under a caller's key."""


def _make_webhook_deliveries() -> None:
    """Events on their way to webhooks."""


def _make_notices() -> None:
    """Which notices went out, and where the reader of events stands."""
