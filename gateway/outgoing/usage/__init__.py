"""What tenants use, over all locations: for reports and bills."""

from gateway.outgoing.usage.report import Dimension, UsageRow, parse_dimensions, parse_month, usage_csv
from gateway.outgoing.usage.service import UsageService

__all__ = ["Dimension", "UsageRow", "UsageService", "parse_dimensions", "parse_month", "usage_csv"]
