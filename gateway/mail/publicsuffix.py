"""The packaged public suffix list."""

from __future__ import annotations

from functools import cache

from publicsuffixlist import PublicSuffixList


@cache
def packaged_suffixes() -> PublicSuffixList:
    """Below which names everybody can register. Read once, at first need: it takes 40 ms."""
    return PublicSuffixList()
