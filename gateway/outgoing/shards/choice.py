"""Which of a tenant's shards carries a message to a recipient: pure, and the same everywhere."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.control.records import ShardRecord

OrganisationalDomain = Callable[[str], str]


def choose_shard(
    shards: Sequence[ShardRecord],
    *,
    from_domain: str,
    stream: str,
    recipient_domain: str,
    organisational_domain: OrganisationalDomain,
    own_only: bool = False,
) -> ShardRecord | None:
    """The shard for one recipient, or None if the tenant has none that is not retired.

    `own_only`: none but those that share the From's organisational domain will do, as for trial names:
    their reputation is nobody else's.

    `shards` are the tenant's in one environment. Those that share the From's organisational
    domain go before others (SPF then aligns), then those that name the stream, then those open to
    any stream. Among what is left weighted rendezvous hashing over the recipient's domain decides:
    a new shard takes only its share, and a paused one keeps its own (its mail waits).
    """
    candidates = [shard for shard in shards if shard.state != "retired"]
    home = organisational_domain(from_domain)
    if own_only:
        candidates = [shard for shard in candidates if organisational_domain(shard.name) == home]
    if len(candidates) > 1:
        candidates = _prefer(candidates, lambda shard: organisational_domain(shard.name) == home)
        candidates = _prefer(
            candidates, lambda shard: stream in shard.streams, lambda shard: not shard.streams
        )
    if not candidates:
        return None
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda shard: _score(shard, recipient_domain))


def _prefer(shards: list[ShardRecord], *tests: Callable[[ShardRecord], bool]) -> list[ShardRecord]:
    """The shards that pass the first test which any passes; all of them if none does."""
    for test in tests:
        chosen = [shard for shard in shards if test(shard)]
        if chosen:
            return chosen
    return shards


def _score(shard: ShardRecord, recipient_domain: str) -> float:
    """Weighted rendezvous score: shares are proportional to the weights (weight 0 is a last resort)."""
    digest = hashlib.blake2b(f"{shard.id}\0{recipient_domain}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -max(shard.weight, 0) / math.log(uniform)
