"""Webhooks: where a tenant, or the platform, wants events sent."""
