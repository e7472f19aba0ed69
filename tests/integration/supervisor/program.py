"""A program under the supervisor with entries that do next to nothing: run by the tests as a process.

    python -m tests.integration.supervisor.program CONFIG [KIND=COUNT …]

Each process answers a line on its port with a line of JSON about itself; some words make it misbehave.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import secrets
import sys
import threading
import time
from pathlib import Path

import uvloop

from gateway.supervisor import ChildContext, ProcessKind, Supervisor
from gateway.system import config, log
from gateway.system.clock import SystemClock


def serve(context: ChildContext) -> int:
    """An entry with an event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(answer(context))


async def answer(context: ChildContext) -> int:
    done = asyncio.Event()
    reloads = 0

    def reload() -> None:
        nonlocal reloads
        reloads += 1
        context.reloaded()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"hang\n":
                time.sleep(600)
            elif line == b"raise\n":
                done.set()
                raise RuntimeError("as told")
            else:
                writer.write(json.dumps(about(context, reloads)).encode() + b"\n")
                await writer.drain()
        writer.close()

    context.attach(asyncio.get_running_loop(), on_drain=done.set, on_reload=reload)
    for sockets in context.sockets.values():
        for one in sockets:
            await asyncio.start_server(talk, sock=one)
    context.ready()
    await done.wait()
    return 0


def about(context: ChildContext, reloads: int) -> dict[str, object]:
    return {
        "name": context.name,
        "number": context.number,
        "pid": os.getpid(),
        "parent": os.getppid(),
        "incarnation": context.incarnation,
        "dead": context.dead_incarnations,
        "threads_at_fork": context.shared,
        "reloads": reloads,
        "idle_timeout": context.config.limits.idle_seconds,
        "descriptors": sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in _descriptors()),
    }


def _descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]


def work(context: ChildContext) -> int:
    """An entry without an event loop."""
    over = threading.Event()
    context.watch_signals(on_drain=over.set, on_reload=context.reloaded)
    context.ready()
    while not over.wait(0.2):
        context.progress()
    return 0


def fail(code: int, _: ChildContext) -> int:
    """An entry that cannot start."""
    return code


def stay(context: ChildContext) -> int:
    """An entry that does not care about SIGTERM."""
    context.ready()
    while True:
        time.sleep(0.1)
        context.progress()


ENTRIES = {
    "mail": serve,
    "control": work,
    "fails": functools.partial(fail, 1),
    "misconfigured": functools.partial(fail, 2),
    "stubborn": stay,
}


def main(path: str, *wanted: str) -> int:
    log.configure()
    load = functools.partial(config.load, Path(path), os.environ)
    settings = load()
    kinds = []
    for word in wanted:
        name, _, count = word.partition("=")
        listens = {"submission": settings.listen.submission} if name == "mail" else {}
        ladder = {"metrics": settings.listen.metrics} if name == "mail" and settings.listen.metrics else {}
        kinds.append(ProcessKind(name, int(count), ENTRIES[name], listens, ladder, hang_seconds=5.0))
    return Supervisor(
        settings,
        kinds,
        load=load,
        clock=SystemClock(),
        token=lambda: secrets.token_hex(4),
        environ=os.environ,
        shared=len(os.listdir("/proc/self/task")),
    ).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
