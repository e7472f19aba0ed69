"""Notices: what tenants' contacts are told by mail."""
