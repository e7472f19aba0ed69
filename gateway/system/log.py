"""Logs: one JSON object a line on stderr, from structlog and from libraries' `logging` alike.

Values are escaped by JSON, all but ASCII included: nothing a client sends can break a line.
Events are snake_case words; a message's lines carry `message_id`, `tenant_id` and `account_id`.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import copy_context
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_WRITE_SECONDS = 1.0
# A net below the rule that no caller passes such a thing.
_SECRET_FIELDS = frozenset(
    {"password", "app_password", "secret", "token", "authorization", "private_key", "master_key", "sealed"}
)


def configure(stream: TextIO | None = None, level: str = "info", *, process: str = "") -> None:
    """Send all logs of this process to `stream` (stderr unless said), from `level` up.

    `process` names the process in every line. Call it once a process, again after a fork; loggers that were
    used before keep what they had.
    """
    write = _writer(sys.stderr if stream is None else stream)
    render = _Render({"process": process} if process else {})
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, render],
        wrapper_class=_wrapper(_LEVELS[level], render),
        logger_factory=lambda *names: _Line(write, str(names[0]) if names else ""),
        cache_logger_on_first_use=True,
    )
    _route_libraries()


def _wrapper(level: int, render: _Render) -> type[structlog.typing.FilteringBoundLogger]:
    """The class of loggers. `info` goes a short way where nothing but the event's own fields is to be told.

    Every accepted message has two such lines; structlog's general way takes 20 µs more for each.
    """
    base: Any = structlog.make_filtering_bound_logger(level)
    if level > _LEVELS["info"]:
        return base  # type: ignore[no-any-return]

    class Logger(base):  # type: ignore[misc]
        """Bound fields, context variables, exceptions and other processors take structlog's own way."""

        def info(self, event: str, *args: Any, **fields: Any) -> Any:
            last = self._processors[-1]
            if args or self._context or last is not render or "exc_info" in fields or len(copy_context()):
                return base.info(self, event, *args, **fields)
            fields["event"] = event
            return self._logger.info(render(self._logger, "info", fields))

    return Logger


class _Line:
    """What structlog calls with the finished line; `name` is the logger's."""

    def __init__(self, write: Callable[[str], None], name: str) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = write
        self.exception = self.msg = self.log = self.fatal = self.warn = self.failure = write


class _Render:
    """The last processor: puts the fields in order and makes one line of them."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)
        self._encode = json.JSONEncoder(separators=(",", ":"), default=_plain, check_circular=False).encode
        self._second = 0
        self._prefix = ""

    def __call__(self, logger: _Line, method: str, event: EventDict) -> str:
        if not _SECRET_FIELDS.isdisjoint(event):
            event = _without_secrets(event)
        line: dict[str, object] = {
            "timestamp": self._timestamp(),
            "level": method,
            "event": event.pop("event", ""),
        }
        if logger.name:
            line["logger"] = logger.name
        line.update(self._fields)
        line.update(event)
        try:
            return self._encode(line)
        except (TypeError, ValueError, RecursionError):
            # A key that is no text, or a value that contains itself: the line is worth more than its form.
            return self._encode({str(key): repr(value) for key, value in line.items()})

    def _timestamp(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._prefix}.{int((now - second) * 1_000_000):06d}Z"


def _without_secrets(event: MutableMapping[str, Any]) -> EventDict:
    return {key: "***" if key in _SECRET_FIELDS else value for key, value in event.items()}


def _plain(value: object) -> object:
    """What JSON does not know."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def _writer(stream: TextIO) -> Callable[[str], None]:
    """Writes a line whole. On a descriptor without buffering: a killed process has said what it said."""
    try:
        descriptor = stream.fileno()
    except (OSError, AttributeError, ValueError):

        def write_text(line: str) -> None:
            stream.write(line + "\n")

        return write_text

    def write(line: str) -> None:
        rest = memoryview(f"{line}\n".encode("ascii"))
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                # Somebody made our stderr non-blocking and its reader is slow. Mail goes before logs.
                if not select.select((), (descriptor,), (), _WRITE_SECONDS)[1]:
                    return
            except OSError:
                # The reader is gone: there is nobody left to tell.
                return

    return write


class _Route(logging.Handler):
    """Gives a library's record to structlog, as event `library_message`."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        fields: dict[str, Any] = {"message": message}
        if record.exc_info and record.exc_info[0] is not None:
            fields["exc_info"] = record.exc_info
        level = max(logging.DEBUG, record.levelno // 10 * 10)
        structlog.get_logger(record.name).log(level, "library_message", **fields)


def _route_libraries() -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Route):
            root.removeHandler(handler)
    root.addHandler(_Route())
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    # aiosmtpd writes every command there, addresses and all.
    mail_log = logging.getLogger("mail.log")
    mail_log.propagate = False
    mail_log.handlers = [logging.NullHandler()]
    mail_log.setLevel(logging.CRITICAL + 1)
