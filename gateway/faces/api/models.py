"""Pydantic models: of requests by hand (unknown fields refused by name), of replies from the views."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, ClassVar

from fastapi import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gateway.control.lookup import MetadataPatch, clean_moment
from gateway.faces.api.mistakes import NULLS
from gateway.system.rendering import is_time

Text = Annotated[str, StringConstraints(max_length=1_000)]
"""A word or a line of a request. Services say what is wrong with it; the length guards them."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _without_edges(text: str) -> str:
    """A client_id as it is kept and looked for: without spaces around it. Raises ValueError."""
    if not text.strip():
        raise ValueError("it is only spaces")
    return text.strip()


LongName = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
"""The name of a domain, an address, or what stands for either: how long those may be, services say."""
ClientId = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_edges)]
Metadata = Annotated[dict[Name, Text], Field(max_length=50)]
MetadataChange = Annotated[dict[Name, Text | None], Field(max_length=50)]
"""Pairs of a Patch: merged into those that are there; null takes one away."""

GraceSeconds = Annotated[
    float | None, Query(ge=0, le=10**9, description="How long it can be restored; the configured time.")
]
Why = Annotated[Text | None, Query(description="Why, for the audit.")]


class Request(BaseModel):
    """The body of a request: a field that is not known is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)

    def given(self) -> dict[str, Any]:
        """The fields that the caller sent, as keywords for a service."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Patch(Request):
    """A JSON merge patch (RFC 7396): what is absent stays, null takes away what can be taken away."""

    clears: ClassVar[Mapping[str, Any]] = {"client_id": "", "metadata": {}}
    """What a service is given for null; a field that is not here cannot be null."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_null(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            nulls = [name for name in cls.model_fields if name in given and given[name] is None]
            wrong = [name for name in nulls if name not in cls.clears]
            if wrong:
                raise PydanticCustomError(NULLS, "cannot be null", {"fields": wrong})
        return given

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
        schema = handler(core)
        for name, field in handler.resolve_ref_schema(schema).get("properties", {}).items():
            if name not in cls.clears and "anyOf" in field:
                field["anyOf"] = [one for one in field["anyOf"] if one != {"type": "null"}]
                field.pop("default", None)
        return schema

    def changes(self) -> dict[str, Any]:
        """The fields that the caller sent, as keywords for a service."""
        return {name: self._change(name, value) for name, value in self.given().items()}

    def _change(self, name: str, value: Any) -> Any:
        if value is None:
            return self.clears[name]
        return MetadataPatch(value) if name == "metadata" else value


class Problem(BaseModel):
    """An error (RFC 9457): what happened (`detail`), its stable name (`code`), what to do next (`fix`)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    fix: str


@cache
def model_of(view: Any) -> type[BaseModel]:
    """The model of a view (a frozen dataclass), with times as RFC 3339 text."""
    hints = typing.get_type_hints(view)
    fields: dict[str, Any] = {
        field.name: (_shown_type(hints[field.name], field.name), ...) for field in dataclasses.fields(view)
    }
    return create_model(view.__name__.removesuffix("View"), __doc__=view.__doc__, **fields)


def with_fields(model: type[BaseModel], name: str, **more: Any) -> type[BaseModel]:
    """The model with more fields, all of them always there."""
    fields: dict[str, Any] = {one: (hint, ...) for one, hint in more.items()}
    return create_model(name, __base__=model, __doc__=model.__doc__, **fields)


def seconds(moment: datetime | None) -> float | None:
    """A time of a request in seconds since 1970; one without a zone is UTC. Raises Invalid.

    A zone may carry a time over the end of the calendar: 9999-12-31T23:59:59-01:00 is in the year 10000.
    """
    if moment is None:
        return None
    return clean_moment((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@cache
def page_of(view: Any) -> type[BaseModel]:
    """The model of a page of views, or of what a model shows."""
    item: Any = view if issubclass(view, BaseModel) else model_of(view)
    return create_model(
        view.__name__.removesuffix("View") + "Page",
        __doc__="One page of a list. `next_cursor` continues it; null: that was all.",
        items=(list[item], ...),
        next_cursor=(str | None, ...),
    )


def _shown_type(hint: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return model_of(typing.cast("type", hint))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return hint
    if origin in (typing.Union, types.UnionType):
        shown: Any = _shown_type(arguments[0], name)
        for argument in arguments[1:]:
            shown = shown | _shown_type(argument, name)
        return shown
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, _shown_type(arguments[1], "")]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Sequence | Set):
        return list[_shown_type(arguments[0], "")]  # type: ignore[misc]
    if hint in (float, int) and is_time(name):
        return datetime
    return hint
