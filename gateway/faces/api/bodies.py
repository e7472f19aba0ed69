"""Bodies of requests: read up to a bound, and parsed so that no other request waits long for it.

A parser does not let go of the interpreter before its end. So a body is counted before it is parsed (the
counting is some hundred times cheaper), and what is large is parsed and validated in a thread.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from gateway.faces.api.errors import BodyTooLarge, UnsupportedMedia
from gateway.faces.api.facts import Bounds, Facts

JSON_TYPE = "application/json"

_OCTETS_AT_ONCE = 64 * 1024
_VALUES_AT_ONCE = 1_000
"""What is parsed where the other requests wait: it takes a millisecond or two."""
_MOST_ESCAPES = 4_000_000
_MOST_MISTAKES = 1_000
_NOT_MARKS = bytes(set(range(256)) - set(b'",[{'))


class BoundedRequest(Request):
    """A request whose body is read once, as far as the operation's bounds, and parsed by `prepare`."""

    def __init__(self, request: Request, facts: Facts) -> None:
        super().__init__(request.scope, request.receive)
        self._facts = facts
        self._content: bytes | None = None
        self._value: Any = None

    async def body(self) -> bytes:
        """All of it. Raises BodyTooLarge."""
        if self._content is None:
            most = self._facts.bounds.octets
            length = self.headers.get("content-length", "")
            if length.isdecimal() and int(length) > most:
                raise BodyTooLarge(f"more than {most} octets")
            try:
                self._content = await self._read(most)
            except ClientDisconnect:
                raise HTTPException(400, "the body ended before its end") from None
        return self._content

    async def _read(self, most: int) -> bytes:
        pieces, seen = [], 0
        async for piece in self.stream():
            seen += len(piece)
            if seen > most:
                raise BodyTooLarge(f"more than {most} octets")
            pieces.append(piece)
        return b"".join(pieces)

    async def json(self) -> Any:
        """What `prepare` made of it: plain values, or the operation's model where that took a thread."""
        return self._value

    async def prepare(self) -> None:
        """Read and parse it. Raises BodyTooLarge, UnsupportedMedia, RequestValidationError."""
        content = await self.body()
        if not content:
            return
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == JSON_TYPE or (kind.startswith("application/") and kind.endswith("+json")):
            if len(content) <= _OCTETS_AT_ONCE:
                self._value = parsed(content, self._facts)
            else:
                self._value = await run_in_threadpool(parsed, content, self._facts)
        elif kind != self._facts.takes:
            taken = (JSON_TYPE,) if self._facts.takes is None else (JSON_TYPE, self._facts.takes)
            raise UnsupportedMedia(kind, ", ".join(taken))


def parsed(content: bytes, facts: Facts) -> Any:
    """The JSON as plain values; if there are many of them validated already, as the operation's model.

    Raises BodyTooLarge, RequestValidationError.
    """
    count = count_values(content, facts.bounds)
    if _has_nul(content):
        raise RequestValidationError(
            [_mistake("nul", "has a NUL character (\\u0000), which no text here can have")]
        )
    try:
        value = from_json(content)
    except ValueError as error:
        raise RequestValidationError([_mistake("json_invalid", f"is not JSON: {error}")]) from None
    if count <= _VALUES_AT_ONCE or facts.shape is None:
        return value
    try:
        return TypeAdapter(facts.shape).validate_python(value)
    except ValidationError as error:
        raise RequestValidationError(_mistakes(error)) from None


def count_values(content: bytes, bounds: Bounds) -> int:
    """About how many values a JSON text has: its commas and opening brackets outside of strings.

    Raises BodyTooLarge where there are more than the bounds allow.
    """
    if content.count(b"\\") > _MOST_ESCAPES:
        raise BodyTooLarge(f"more than {_MOST_ESCAPES} escaped characters")
    if b"\\" in content:
        content = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = content.translate(None, _NOT_MARKS)
    # A name and a string for each value, each in two of them.
    count = marks.count(b'"') // 4
    if count <= bounds.values:
        count = sum(map(len, marks.split(b'"')[::2]))
    if count > bounds.values:
        raise BodyTooLarge(f"more than {bounds.values} values")
    return count


def _has_nul(content: bytes) -> bool:
    """Whether a text of the JSON has a NUL, as it must be written; databases take none in their texts."""
    return b"\\u0000" in content and b"\\u0000" in content.replace(b"\\\\", b"")


def _mistakes(error: ValidationError) -> list[dict[str, Any]]:
    count = error.error_count()
    if count > _MOST_MISTAKES:
        # To write out so many takes longer than to find them.
        return [_mistake("too_many_mistakes", f"has {count} mistakes, too many to list them")]
    return [
        {**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False, include_input=False)
    ]


def _mistake(kind: str, text: str) -> dict[str, Any]:
    return {"type": kind, "loc": ("body",), "msg": text}
