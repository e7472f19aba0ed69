"""Organisational domains by the public suffix list: which shard is akin to a From domain."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from gateway.mail.publicsuffix import packaged_suffixes


class Organisations:
    """Answers from the packaged public suffix list; each of `suffixes` counts as public too.

    The platform's trial namespace is such a suffix: its names belong to different tenants.
    """

    def __init__(self, suffixes: Iterable[str] = ()) -> None:
        self._list = packaged_suffixes()
        self._suffixes = tuple(suffix.lower().strip(".") for suffix in suffixes if suffix)
        self.domain = lru_cache(maxsize=65_536)(self._domain)

    def _domain(self, name: str) -> str:
        """The organisational domain of `name` (A-labels), or `name` itself if it has none."""
        name = name.lower().rstrip(".")
        for suffix in self._suffixes:
            if name.endswith("." + suffix):
                owner = name[: -len(suffix) - 1].rpartition(".")[2]
                return f"{owner}.{suffix}"
        found: str | None = self._list.privatesuffix(name)
        return found or name
