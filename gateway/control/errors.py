"""What a control-plane service answers when it will not do what was asked.

ServiceError
├── NotFound    404  no such thing, or not yours: both look alike
├── Conflict    409  it contradicts what is there
├── Invalid     422  the request itself is wrong
├── Forbidden   403  known to you, but not allowed
├── TooMany     429  a rate or a quota is used up; `retry_after` says for how long
└── Unavailable 503  for now: the database is away, a key is missing
"""

from __future__ import annotations


class ServiceError(Exception):
    """A refusal: a stable `code`, a `detail` for people, a `fix` (what to do next), an HTTP-like `status`.

    `detail` and `fix` never hold a secret: faces print them as they are.
    """

    status = 500

    def __init__(self, code: str, detail: str, fix: str) -> None:
        super().__init__(f"{detail} {fix}".strip())
        self.code = code
        self.detail = detail
        self.fix = fix


class NotFound(ServiceError):
    """There is no such thing for this caller."""

    status = 404


class Conflict(ServiceError):
    """It contradicts what is already there."""

    status = 409


class Invalid(ServiceError):
    """The request is wrong in itself."""

    status = 422


class Forbidden(ServiceError):
    """The caller may see it, but not do this to it."""

    status = 403


class Unavailable(ServiceError):
    """It may work later: something the service needs is away."""

    status = 503


class TooMany(ServiceError):
    """A rate or a quota is used up; the same may be done again after `retry_after` seconds (at least 1)."""

    status = 429

    def __init__(self, code: str, detail: str, fix: str, retry_after: int) -> None:
        super().__init__(code, detail, fix)
        self.retry_after = max(1, retry_after)
