"""Delivery status notifications (RFC 3464): their values, their format, their words."""

from gateway.mail.dsn.report import FULL_LIMIT, build_report
from gateway.mail.dsn.values import Action, RecipientReport, ReportedMessage, ReportHeader

__all__ = ["FULL_LIMIT", "Action", "RecipientReport", "ReportHeader", "ReportedMessage", "build_report"]
