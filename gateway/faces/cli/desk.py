"""What a command works with: the installation's services, opened when the first command needs them."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from gateway.control.records import Actor
from gateway.faces.cli.client import ApiClient, SocketTransport, Transport, UrlTransport
from gateway.faces.cli.local import LocalTransport
from gateway.faces.cli.output import EXIT_USAGE, CommandFailed
from gateway.system.config import DEFAULT_PATH, Config, load

if TYPE_CHECKING:
    from gateway.control.services import ControlServices

CONFIG_VARIABLE = "GATEPOST_CONFIG"
URL_VARIABLE = "GATEPOST_URL"
KEY_VARIABLE = "GATEPOST_KEY"


class Opened(Protocol):
    """An opened installation."""

    @property
    def services(self) -> ControlServices:
        """The control plane."""
        ...

    @property
    def queue(self) -> Any:
        """The queues of all locations."""
        ...

    def close(self) -> None:
        """Close every database."""
        ...


@dataclass(frozen=True, slots=True)
class Program:
    """What the composition root gives the command line, so that it need not know how parts are built.

    `serve(config)` and `quickstart(folder, port_base, setup_only)` return exit statuses; `check(path)`
    the mistakes of a configuration, as lines, and remarks. `app(opened)`: the API over an opened
    installation.
    """

    open: Callable[[Config], Opened]
    serve: Callable[[Path], int]
    quickstart: Callable[[Path, int, bool], int]
    check: Callable[[Path], int]
    upgrade: Callable[[Config], list[dict[str, Any]]]
    app: Callable[[Opened], Callable[..., Any]]


@dataclass
class Desk:
    """The state of one call of the program."""

    program: Program
    config_option: Path | None
    url: str | None = None
    key: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _opened: Opened | None = None
    _config: Config | None = None
    _api: ApiClient | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def config_path(self) -> Path:
        """The configuration in force: `--config`, GATEPOST_CONFIG, or the default place."""
        if self.config_option is not None:
            return self.config_option
        return Path(self.environ.get(CONFIG_VARIABLE) or DEFAULT_PATH)

    @property
    def config(self) -> Config:
        """The configuration. Raises ConfigError."""
        if self._config is None:
            if not self.config_path.exists():
                raise CommandFailed(
                    "no-configuration",
                    f"There is no configuration at {self.config_path}.",
                    f"Name one with --config FILE or {CONFIG_VARIABLE}; `gatepost quickstart` makes a demo.",
                    EXIT_USAGE,
                )
            self._config = load(self.config_path, self.environ)
        return self._config

    @property
    def services(self) -> ControlServices:
        """The control plane's services."""
        return self.opened.services

    @property
    def queue(self) -> Any:
        """The queues of all locations."""
        return self.opened.queue

    @property
    def actor(self) -> Actor:
        """Who types: the operating system's user."""
        return Actor(kind="cli", id=f"{_user()} (uid {os.getuid()})")

    @property
    def api(self) -> ApiClient:
        """The API: at `--url`, at the Unix socket while the gateway serves, else in this process."""
        if self._api is None:
            self._api = ApiClient(self._transport())
        return self._api

    @property
    def is_far(self) -> bool:
        """Whether commands go to a URL, not to an installation of this machine."""
        return bool(self._url)

    @property
    def _url(self) -> str | None:
        return self.url or (self.environ.get(URL_VARIABLE) if self.config_option is None else None)

    def _transport(self) -> Transport:
        url = self._url
        if url:
            key = self.key or self.environ.get(KEY_VARIABLE)
            if not key:
                raise CommandFailed(
                    "no-key",
                    f"An API key is needed for {url}.",
                    f"Give it with --key or, better, in {KEY_VARIABLE}.",
                    EXIT_USAGE,
                )
            return UrlTransport(url, key, self.environ.get("SSL_CERT_FILE"))
        served = SocketTransport(self.config.api_socket)
        if served.is_served():
            return served
        return LocalTransport(self.program.app(self.opened), f"uid:{os.getuid()}")

    def close(self) -> None:
        """Close what was opened."""
        self._stack.close()

    @property
    def opened(self) -> Opened:
        """The installation, opened when first asked for."""
        if self._opened is None:
            self._opened = self.program.open(self.config)
            self._stack.callback(self._opened.close)
        return self._opened


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


pass_desk = click.make_pass_decorator(Desk)
