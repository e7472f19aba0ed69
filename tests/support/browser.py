"""Chromium without a window, and the API where it can open it: all on loopback.

Fixtures:
    browser   a browser whose contexts know no other host than 127.0.0.1
    served    the address of the application of `api`, over HTTP on a free port
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import uvicorn

from tests.support.api import ApiWorld
from tests.support.gateway import free_port, wait_until
from tests.support.peers import RequirePeer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@pytest.fixture
def browser(require_peer: RequirePeer) -> Iterator[Browser]:
    """A fresh browser."""
    # Loaded where it is used alone: every run of the tests reads this file.
    from playwright.sync_api import sync_playwright

    path = require_peer("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_OPTIONS), timeout=60_000)
        yield browser
        browser.close()


@pytest.fixture
def served(api: ApiWorld) -> Iterator[str]:
    """The API on a port of this machine."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(api.app, host="127.0.0.1", port=port, lifespan="off", log_config=None, ws="none")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, what="the API on its port")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
