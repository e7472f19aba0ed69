"""What only this face answers: the caller is not known, asks too much, or asks on stale knowledge."""

from __future__ import annotations

from gateway.control.errors import ServiceError


class Unauthenticated(ServiceError):
    """No API key, or none that is valid."""

    status = 401

    def __init__(self, detail: str) -> None:
        super().__init__(
            "unauthenticated",
            detail,
            "Send `Authorization: Bearer KEY`; `gatepost api-key create NAME` makes one.",
        )


class ConditionNotTaken(ServiceError):
    """`If-Match` on an operation that cannot hold itself to it."""

    status = 400

    def __init__(self, command: str) -> None:
        super().__init__(
            "if-match-not-taken",
            f"`{command}` takes no If-Match: nothing was done.",
            "Send it without the header; /openapi.json says which operations take it.",
        )


class PreconditionFailed(ServiceError):
    """`If-Match` does not hold: somebody changed the thing meanwhile."""

    status = 412

    def __init__(self, path: str) -> None:
        super().__init__(
            "changed-meanwhile",
            f"{path} was changed since you read it.",
            "Read it again, apply your change to what it is now, and send its new ETag.",
        )


class TooManyRequests(ServiceError):
    """A caller's rate is used up; `retry_after` in seconds."""

    status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "too-many-requests",
            "This caller sends more requests than its rate allows.",
            f"Try again in {max(1, round(retry_after))} s; RateLimit headers tell how much is left.",
        )
        self.retry_after = retry_after


class BodyTooLarge(ServiceError):
    """The body has more than its operation takes; `most` says more than what."""

    status = 413

    def __init__(self, most: str) -> None:
        super().__init__(
            "request-entity-too-large",
            f"The body of the request has {most}.",
            "docs/api.md says how large the body of each operation may be; send it in parts.",
        )


class UnsupportedMedia(ServiceError):
    """The body is of a kind that the operation does not take."""

    status = 415

    def __init__(self, kind: str, taken: str) -> None:
        super().__init__(
            "unsupported-media-type",
            f"A body of the type {kind[:100] or 'unknown'} is not taken here.",
            f"Send one of {taken}, and say so in Content-Type.",
        )


class TooManyStreams(ServiceError):
    """A caller waits for events in too many places at once."""

    status = 429

    def __init__(self, most: int) -> None:
        super().__init__(
            "too-many-streams",
            "Too many readers wait for events already.",
            f"One caller has {most} at most; end one of them, or ask without waiting.",
        )
        self.retry_after = 5.0
