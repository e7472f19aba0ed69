"""The real program for acceptance tests: set up by quickstart, served by a subprocess, driven by its CLI."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psutil

START_SECONDS = 90.0
OBEYED_SECONDS = 1.0
"""Within so long every process obeys a change of the control plane."""

_COPIED_BASE = 61_000
"""Never bound: it is replaced in every copy."""

_PORTS = itertools.count(os.getpid() * 997)


class CliError(AssertionError):
    """A command of the CLI failed; `document` is its JSON error if it printed one."""

    def __init__(self, arguments: tuple[str, ...], result: subprocess.CompletedProcess[str]) -> None:
        super().__init__(
            f"gatepost {' '.join(arguments)}: exit {result.returncode}\n{result.stdout}{result.stderr}"
        )
        self.exit_code = result.returncode
        try:
            self.document = json.loads(result.stderr)
        except ValueError:
            self.document = {}


def free_port_base() -> int:
    """A base for which every port of quickstart is free just now."""
    offsets = (25, 87, 65, 143, 193, 80, 200, 201, 202, 203)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:] or 0)
    for attempt in range(200):
        base = 20_000 + worker * 4_000 + (os.getpid() * 7 + attempt * 211) % 3_700
        if all(_is_free(base + offset) for offset in offsets):
            return base
    raise RuntimeError("no free range of ports")


def free_port() -> int:
    """One port that is free just now, below those that the kernel gives to connections."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:] or 0)
    for _ in range(500):
        port = 10_000 + worker * 2_500 + next(_PORTS) % 2_500
        if _is_free(port):
            return port
    raise RuntimeError("no free port")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def wait_until(condition: Callable[[], Any], seconds: float = 60.0, what: str = "the condition") -> Any:
    """The first true value of `condition`, asked every 20 ms. Fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


def _set_up(folder: Path, port_base: int) -> None:
    """Make an installation with `gatepost quickstart`. Raises CliError."""
    arguments = ("quickstart", "--dir", str(folder), "--port-base", str(port_base), "--setup-only")
    result = run_program(*arguments)
    if result.returncode != 0:
        raise CliError(arguments, result)


@cache
def _installation() -> Path:
    """An installation to be copied: to make one takes three seconds of CPU."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-installation-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _set_up(folder / "var", _COPIED_BASE)
    return folder / "var"


def _copy_installation(folder: Path, port_base: int) -> None:
    """As `_set_up`, with the ids and secrets that all tests of this process share."""
    source = _installation()
    shutil.copytree(source, folder, dirs_exist_ok=True)
    for name in ("gatepost.toml", "quickstart.json"):
        text = (folder / name).read_text().replace(str(source), str(folder))
        ports = re.compile(rf"\b{_COPIED_BASE // 1000}(\d{{3}})\b")
        (folder / name).write_text(ports.sub(lambda port: str(port_base + int(port[1])), text))


class Gateway:
    """One installation in `folder`, served by a subprocess between `start` and `stop`."""

    def __init__(
        self,
        folder: Path,
        *,
        port_base: int | None = None,
        settings: str = "",
        program: tuple[str, ...] = ("gateway",),
    ) -> None:
        """`settings` is added to the configuration; `program` is the module that serves, with arguments."""
        self._program = program
        self.folder = folder
        self.port_base = port_base or free_port_base()
        self.log_path = folder / "gatepost.log"
        self.process: subprocess.Popen[bytes] | None = None
        if any(name.startswith("GATEPOST_") and name != "GATEPOST_REQUIRE_PEERS" for name in os.environ):
            _set_up(folder, self.port_base)
        else:
            _copy_installation(folder, self.port_base)
        self.state: dict[str, Any] = json.loads((folder / "quickstart.json").read_text())
        if settings:
            config = Path(self.config)
            config.write_text(config.read_text() + settings)

    @property
    def config(self) -> str:
        return str(self.state["config"])

    @property
    def address(self) -> str:
        return str(self.state["account"]["address"])

    @property
    def password(self) -> str:
        return str(self.state["account"]["app_password"])

    @property
    def tenant_id(self) -> str:
        return str(self.state["account"]["tenant_id"])

    def edit_config(self, edit: Callable[[str], str]) -> None:
        """Change the configuration file before `start`."""
        config = Path(self.config)
        config.write_text(edit(config.read_text()))

    # --- the program ---

    def start(self) -> Gateway:
        """Serve, and wait until it is ready."""
        with self.log_path.open("ab") as log:
            offset = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self._program, "serve", "--config", self.config],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        # A test that fails before its end must not leave this running.
        atexit.register(self.kill)
        try:
            wait_until(lambda: self._is_ready(offset), START_SECONDS, "event `ready`")
        except BaseException:
            self.kill()
            raise
        return self

    def _is_ready(self, offset: int) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(
                f"the gateway ended with {self.process.returncode}:\n{self.log_text()[-4000:]}"
            )
        return any(line.get("event") == "ready" for line in self.log_lines(offset))

    def stop(self) -> int:
        """SIGTERM and its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.process = None
        atexit.unregister(self.kill)
        return status

    def kill(self) -> None:
        """SIGKILL to supervisor and all children, if they run."""
        if self.process is None or self.process.poll() is not None:
            return
        everybody = [*self.children(), psutil.Process(self.process.pid)]
        for process in everybody:
            process.kill()
        self.process.wait(20)
        psutil.wait_procs(everybody, 20)
        self.process = None
        atexit.unregister(self.kill)

    def children(self) -> list[psutil.Process]:
        """The supervisor's children now."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def log_text(self) -> str:
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def log_lines(self, offset: int = 0) -> list[dict[str, Any]]:
        """The log as parsed JSON lines, from an offset in octets."""
        with self.log_path.open("rb") as log:
            log.seek(offset)
            lines = log.read().splitlines()
        parsed = []
        for line in lines:
            if line.startswith(b"{"):
                try:
                    parsed.append(json.loads(line))
                except ValueError:
                    continue
        return parsed

    # --- the command line ---

    def cli(self, *arguments: str) -> Any:
        """Run a command with --json and give its document. Raises CliError."""
        result = run_program("--config", self.config, *arguments, "--json")
        if result.returncode != 0:
            raise CliError(arguments, result)
        return json.loads(result.stdout) if result.stdout.strip() else None

    def text(self, *arguments: str) -> str:
        """Run a command as a person would and give what it prints. Raises CliError."""
        result = run_program("--config", self.config, *arguments)
        if result.returncode != 0:
            raise CliError(arguments, result)
        return result.stdout

    def obeyed(self) -> None:
        """Return when every process obeys what was changed before this: a command's end is too early."""
        time.sleep(OBEYED_SECONDS)

    # --- its ports ---

    def tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.state["ca_file"])

    @contextmanager
    def smtp(self, login: str | None = None, password: str | None = None) -> Iterator[smtplib.SMTP]:
        """A logged-in session on port 587; the demo account unless said."""
        client = smtplib.SMTP("127.0.0.1", self.state["submission"]["port"], timeout=30)
        try:
            client.starttls(context=self.tls_context())
            client.login(login or self.address, password or self.password)
            yield client
        finally:
            try:
                client.quit()
            except (OSError, smtplib.SMTPException):
                client.close()

    def send(self, message: bytes, *recipients: str, sender: str | None = None) -> str:
        """Send one message and give its id; fails on anything but 250."""
        with self.smtp() as client:
            return submit(client, message, recipients or ("someone@example.org",), sender or self.address)

    def captured(self, message_id: str, seconds: float = 60.0) -> bytes:
        """The captured file of a message, awaited."""
        folder = Path(self.state["captured"])
        path = wait_until(
            lambda: next(iter(folder.glob(f"{message_id}-*.eml")), None), seconds, f"capture of {message_id}"
        )
        return bytes(path.read_bytes())


def submit(client: smtplib.SMTP, message: bytes, recipients: tuple[str, ...], sender: str) -> str:
    """One transaction on an open session; the id of the 250. Raises smtplib.SMTPResponseException."""
    client.ehlo_or_helo_if_needed()
    for code, reply in (client.mail(sender), *(client.rcpt(address) for address in recipients)):
        if code not in (250, 251):
            client.rset()
            raise smtplib.SMTPResponseException(code, reply)
    code, reply = client.data(message)
    if code != 250:
        raise smtplib.SMTPResponseException(code, reply)
    return reply.decode().split()[3]


def plain_message(
    sender: str, to: str = "someone@example.org", subject: str = "hello", body: str = "hi"
) -> bytes:
    """A small message with what a client puts in."""
    return f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{body}\r\n".encode()


def run_program(*arguments: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """`gatepost …` as a subprocess, output captured."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **kwargs,
    )
