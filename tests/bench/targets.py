"""What is measured: a gateway as quickstart makes it, and the anchor, each relaying to the sink."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Protocol

import psutil

from tests.bench import postfix
from tests.support.gateway import Gateway, free_port_base

BENCH_POLICY = """\
extends = "default"
description = "The default, with limits that are counted but not reached"

[limits.account]
messages_per_day = 100_000_000

[limits.tenant]
messages_per_day = 100_000_000
"""
_LIVE_ROWS = (
    "SELECT count(*) FROM recipient WHERE state NOT IN ('delivered', 'bounced', 'expired', 'dropped')"
)


class Target(Protocol):
    """One mail server under test, running."""

    name: str
    port: int
    login: str
    password: str
    sender: str

    def start(self) -> None:
        """Serve; returns when the port answers."""
        ...

    def pids(self) -> list[int]:
        """Every process of the server that runs now."""
        ...

    def queue_is_empty(self) -> bool:
        """Whether nothing waits and nothing is being delivered."""
        ...

    def stop(self) -> None:
        """End all of its processes and remove its files."""
        ...


class GatepostTarget:
    """`gatepost serve` on a quickstart's installation: TLS, AUTH, quotas that count, log to a file."""

    name = "gatepost"

    def __init__(self, sink_port: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gatepost-bench-", ignore_cleanup_errors=True)
        self._gateway = Gateway(Path(self._folder.name) / "gateway")
        self._sink_port = sink_port
        self.port = int(self._gateway.state["submission"]["port"])
        self.login = self.sender = self._gateway.address
        self.password = self._gateway.password

    def start(self) -> None:
        """Make the bench's policy and route, then serve."""
        gateway = self._gateway
        document = Path(self._folder.name) / "bench.toml"
        document.write_text(BENCH_POLICY)
        gateway.cli("policy", "apply", str(document))
        gateway.cli("workspace", "update", gateway.state["account"]["workspace_id"], "--policy", "bench")
        gateway.cli("shard", "route", gateway.state["shard"], f"smtp://127.0.0.1:{self._sink_port}")
        gateway.start()

    def pids(self) -> list[int]:
        """Supervisor and children."""
        process = self._gateway.process
        if process is None:
            return []
        try:
            tree = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [process.pid, *(child.pid for child in tree)]

    def queue_is_empty(self) -> bool:
        """No recipient in a state that is not final."""
        with sqlite3.connect(f"file:{self._gateway.folder / 'location.db'}?mode=ro", uri=True) as database:
            try:
                return bool(database.execute(_LIVE_ROWS).fetchone()[0] == 0)
            finally:
                database.rollback()

    def log_path(self) -> Path:
        """The gateway's log."""
        return self._gateway.log_path

    def stop(self) -> None:
        """SIGTERM, SIGKILL if that does not end it; removes the folder."""
        process = self._gateway.process
        tree = self.pids()
        if process is not None:
            try:
                self._gateway.stop()
            except subprocess.TimeoutExpired:
                for pid in tree:
                    _kill(pid)
                process.wait(10)
        self._folder.cleanup()


class PostfixTarget:
    """Postfix with Dovecot's auth; with OpenDKIM unless `dkim` is false."""

    login = sender = postfix.LOGIN
    password = postfix.PASSWORD

    def __init__(self, sink_port: int, *, dkim: bool = True) -> None:
        self.name = "postfix" if dkim else "postfix-unsigned"
        self._folder = tempfile.TemporaryDirectory(prefix="gatepost-anchor-", ignore_cleanup_errors=True)
        root = Path(self._folder.name)
        self.port = free_port_base() + 1_000
        certificate, key = _certificate(root)
        self._anchor = postfix.Anchor(root, self.port, sink_port, certificate, key, dkim=dkim)

    def start(self) -> None:
        """Start all three."""
        self._anchor.start()

    def pids(self) -> list[int]:
        """Master, auth, signer and their children."""
        try:
            return [process.pid for process in self._anchor.processes()]
        except (psutil.NoSuchProcess, OSError):
            return []

    def queue_is_empty(self) -> bool:
        """No file in a queue folder."""
        return self._anchor.queue_is_empty()

    def stop(self) -> None:
        """Stop all three; removes the folder."""
        self._anchor.stop()
        self._folder.cleanup()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed P-256 certificate: the kind that quickstart makes."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=localhost", "-days", "30", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class Sink:
    """The sink's process: what relays deliver to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.sink", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError("the sink did not start")

    def figures(self, *, reset: bool = False) -> dict[str, float]:
        """messages, octets, connections, first_at, last_at (seconds since 1970) since the last reset."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("reset\n" if reset else "figures\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the sink ended")
        return dict(json.loads(line))

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
