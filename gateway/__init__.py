"""Gatepost: a self-hosted multi-tenant mail gateway. The house plan stands in docs/architecture.md."""

__version__ = "0.1.0"
