"""The control plane's own: API keys, idempotent requests, webhooks, lists, raises, deletion with grace."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
oldest = "0002"


def upgrade() -> None:
    """Add what the API and its jobs keep; nothing that was there changes its meaning."""
    _make_api_keys()
    _make_idempotency()
    _make_webhooks()
    _make_notices()
    _make_lists()
    _make_raises()
    _add_deletion()
    _add_provisioning()


def _make_api_keys() -> None:
    """Keys of the API."""


def _make_idempotency() -> None:
    """Requests that were done, so that a repetition gives the first result."""


def _make_webhooks() -> None:
    """Where events are sent."""


def _make_notices() -> None:
    """What tenants' contacts are told."""


def _make_lists() -> None:
    """Lists of domains, top-level domains and addresses that rules name."""


def _make_raises() -> None:
    """Limits raised for a time."""


def _add_deletion() -> None:
    """When what is being deleted will be gone."""


def _add_provisioning() -> None:
    """What grants wait for."""
