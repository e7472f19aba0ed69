"""Shards at work: which one carries a message, and the return path it then has."""

from gateway.outgoing.shards.choice import choose_shard
from gateway.outgoing.shards.organisation import Organisations
from gateway.outgoing.shards.returnpath import ReturnPaths

__all__ = ["Organisations", "ReturnPaths", "choose_shard"]
