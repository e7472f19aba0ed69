"""The query parameters of lists: a page's size and place, the order, and the fields to filter by."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query, Request

from gateway.control.paging import LONGEST_PAGE, PageQuery
from gateway.faces.api.cursors import LONGEST_CURSOR

METADATA_PREFIX = "metadata."

CursorQuery = Annotated[
    str | None, Query(max_length=LONGEST_CURSOR, description="`next_cursor` of the page before.")
]
"""The parameter of every list that has pages."""

_LONGEST = 1_000


def paging(*filters: str, sorts: tuple[str, ...] = ("created_at",)) -> Callable[..., PageQuery]:
    """A dependency that reads a PageQuery; `filters` and `sorts` as the service's listing names them.

    Where rows have metadata, `metadata.KEY=VALUE` filters too. No `sorts`: the list has one order, and its
    rows no metadata.
    """

    def read(**given: Any) -> PageQuery:
        request: Request = given["request"]
        chosen = {name: given[_word(name)] for name in filters if given[_word(name)] is not None}
        pairs = {
            name: value for name, value in request.query_params.items() if name.startswith(METADATA_PREFIX)
        }
        return PageQuery(given["limit"], given["cursor"], given.get("sort"), chosen | pairs)

    parameters: dict[str, Any] = {
        "request": (Request, inspect.Parameter.empty),
        "limit": (Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="Rows of a page.")], 100),
        "cursor": (CursorQuery, None),
    }
    if sorts:
        order = f"^-?({'|'.join(sorts)})$"
        described = _text(pattern=order, description="A field; with `-` before it, descending.")
        parameters["sort"] = (described, None)
    for name in filters:
        parameters[_word(name)] = (_text(alias=name, description=f"Only those with this {name}."), None)
    read.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)
            for name, (hint, default) in parameters.items()
        ]
    )
    return read


def _text(**query: Any) -> Any:
    return Annotated[str | None, Query(max_length=_LONGEST, **query)]


def _word(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")
