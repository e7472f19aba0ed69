"""The API in this very process, over the databases: how commands work while nothing serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from gateway.faces.cli.client import Reply, failure

if TYPE_CHECKING:
    import asyncio

_AHEAD = 4

Message = dict[str, Any]


class LocalTransport:
    """To the same application as the server's; see gateway.faces.cli.client.Transport."""

    def __init__(self, app: Callable[..., Any], peer: str) -> None:
        """`peer`: who asks, as the server would name a user on the Unix socket."""
        self._app = app
        self._peer = peer

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """See Transport."""
        import asyncio

        return asyncio.run(self._send(method, target, headers, body or b""))

    def stream(self, target: str) -> Iterator[bytes]:
        """See Transport. The application goes on only while the next piece is waited for."""
        import asyncio

        with asyncio.Runner() as runner:
            messages: asyncio.Queue[Message] = asyncio.Queue(_AHEAD)
            call = runner.run(self._begun(target, messages))
            start = runner.run(_next(messages, call))
            pieces = _bodies(runner, messages, call)
            if start is not None and start["status"] >= 400:
                raise failure(Reply(start["status"], {}, b"".join(pieces)))
            yield from pieces

    async def _begun(self, target: str, messages: asyncio.Queue[Message]) -> asyncio.Task[None]:
        import asyncio

        return asyncio.create_task(self._call("GET", target, {}, b"", messages.put))

    async def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        messages: list[Message] = []

        async def send(message: Message) -> None:
            messages.append(message)

        try:
            await self._call(method, target, headers, body, send)
        except Exception:
            # What was unforeseen is in the log and answered with 500 by now; if not, it is told here.
            if not messages:
                raise
        start = messages[0]
        return Reply(
            start["status"],
            {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]},
            b"".join(message.get("body", b"") for message in messages[1:]),
        )

    async def _call(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            # From 2.4 on nobody listens for a disconnection while a response goes out: here there is none.
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": (self._peer, 0),
            "server": ("localhost", 0),
            "state": {},
        }
        requests = iter(({"type": "http.request", "body": body, "more_body": False},))

        async def receive() -> Message:
            return next(requests, {"type": "http.disconnect"})

        await self._app(scope, receive, send)


def _bodies(
    runner: asyncio.Runner, messages: asyncio.Queue[Message], call: asyncio.Task[None]
) -> Iterator[bytes]:
    while (message := runner.run(_next(messages, call))) is not None:
        if piece := message.get("body", b""):
            yield piece


async def _next(messages: asyncio.Queue[Message], call: asyncio.Task[None]) -> Message | None:
    """What the application sends next; None: it has ended. Raises what it raised."""
    import asyncio

    getting = asyncio.ensure_future(messages.get())
    await asyncio.wait({getting, call}, return_when=asyncio.FIRST_COMPLETED)
    if getting.done():
        return getting.result()
    getting.cancel()
    if not messages.empty():
        return messages.get_nowait()
    await call
    return None
