"""Shards: sending sub-domains and their routes."""
