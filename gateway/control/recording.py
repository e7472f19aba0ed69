"""Writing down a change: its audit entry from two views, and its mark in the change log."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from gateway.control.transaction import ControlChange


class View(Protocol):
    """A frozen dataclass that shows a resource; views hold no secrets."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def id(self) -> str:
        """The resource's id."""
        ...

    @property
    def tenant_id(self) -> str | None:
        """Whose it is."""
        ...


def record(
    change: ControlChange,
    operation: str,
    kind: str,
    before: View | None,
    after: View,
    *,
    account_id: str | None = None,
    **more: object,
) -> None:
    """Audit what happened to a resource and tell every process; `more` is kept with `after`."""
    shown = payload(after)
    change.audit(
        operation,
        kind,
        after.id,
        tenant_id=after.tenant_id,
        before=payload(before) if before is not None else None,
        after={**shown, **more},
    )
    change.result = shown
    change.changed(kind, after.id, tenant_id=after.tenant_id, account_id=account_id)


def payload(view: DataclassInstance) -> dict[str, Any]:
    """A view's fields as JSON values."""
    return {name: _plain(getattr(view, name)) for name in view.__dataclass_fields__}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return payload(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return value
