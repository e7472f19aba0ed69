"""The one door for all outgoing mail: facts, policy, headers, shard, signature, queue."""

from gateway.outgoing.intake.values import ClientInfo, Origin, Receipt, Submission

__all__ = ["ClientInfo", "Origin", "Receipt", "Submission"]
