"""Records of one kind in memory, by id and in groups; changed by making a new one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar


class Identified(Protocol):
    """A record with an id."""

    @property
    def id(self) -> str:
        """Its UUIDv7."""
        ...


V = TypeVar("V", bound=Identified)
K = TypeVar("K", bound=Hashable)


class Table(Generic[K, V]):
    """Never changed once made: readers in other threads keep a whole one while the next is built."""

    __slots__ = ("_by_id", "_groups", "_key_of")

    def __init__(self, key_of: Callable[[V], K], records: Iterable[V] = ()) -> None:
        """`key_of` says which group a record is in."""
        self._key_of = key_of
        self._by_id = {record.id: record for record in records}
        groups: dict[K, list[V]] = {}
        for record in sorted(self._by_id.values(), key=lambda one: one.id):
            groups.setdefault(key_of(record), []).append(record)
        self._groups = {key: tuple(group) for key, group in groups.items()}

    def get(self, record_id: str) -> V | None:
        """The record with this id."""
        return self._by_id.get(record_id)

    def group(self, key: K) -> tuple[V, ...]:
        """The records of a group, oldest first."""
        return self._groups.get(key, ())

    def first(self, key: K) -> V | None:
        """The oldest record of a group."""
        group = self._groups.get(key)
        return group[0] if group else None

    def __iter__(self) -> Iterator[V]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def with_changes(self, changes: Mapping[str, V | None]) -> Table[K, V]:
        """A table in which these ids have these records; None takes one out."""
        if not changes:
            return self
        after: Table[K, V] = Table(self._key_of)
        after._by_id = self._by_id.copy()
        after._groups = self._groups.copy()
        for record_id, record in changes.items():
            after._take_out(record_id)
            if record is not None:
                after._by_id[record_id] = record
                key = self._key_of(record)
                group = [*after._groups.get(key, ()), record]
                after._groups[key] = tuple(sorted(group, key=lambda one: one.id))
        return after

    def _take_out(self, record_id: str) -> None:
        old = self._by_id.pop(record_id, None)
        if old is None:
            return
        key = self._key_of(old)
        rest = tuple(record for record in self._groups[key] if record.id != record_id)
        if rest:
            self._groups[key] = rest
        else:
            del self._groups[key]
