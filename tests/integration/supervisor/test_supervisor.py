"""Real forks, real signals, real sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.gateway import free_port, wait_until


class Node:
    """The test program as a process, its log, and its ports."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.config = folder / "gatepost.toml"
        self.log_path = folder / "log"
        self.environment = dict(os.environ)
        self.process: subprocess.Popen[bytes] | None = None
        self.write(settings)

    def write(self, settings: str = "") -> None:
        self.config.write_text(
            f'hostname = "mail.example.com"\nnode = "n1"\nstate_dir = "{self.folder}/state"\n{settings}\n'
            f'[listen]\nsubmission = ["127.0.0.1:{self.port}"]\nsubmissions = []\n'
            f'[tls]\ncertificate = "c.pem"\nkey = "k.pem"\n'
        )

    def start(self, *kinds: str, **options: Any) -> Node:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.supervisor.program", str(self.config), *kinds],
                stderr=log,
                env=self.environment,
                **options,
            )
        return self

    def ready(self) -> Node:
        self.await_event("ready")
        return self

    def lines(self, event: str) -> list[dict[str, Any]]:
        text = self.log_path.read_text() if self.log_path.exists() else ""
        # The last line may be half written.
        parsed = [
            json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")
        ]
        return [line for line in parsed if line["event"] == event]

    def await_event(self, event: str, count: int = 1) -> dict[str, Any]:
        wait_until(
            lambda: len(self.lines(event)) >= count, 20, f"event {event} in {self.log_path.read_text()}"
        )
        return self.lines(event)[count - 1]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def ask(self, connection: socket.socket | None = None) -> dict[str, Any]:
        with connection or self.connect() as one:
            one.sendall(b"?\n")
            return dict(json.loads(one.makefile().readline()))

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(30)

    def kill(self) -> list[psutil.Process]:
        """SIGKILL to the supervisor alone; gives the children that outlive it by 5 s."""
        children = self.children()
        self.signal(signal.SIGKILL)
        self.wait()
        return list(psutil.wait_procs(children, timeout=5)[1])

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    one = Node(tmp_path)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait(10)


def test_serves_and_drains(node: Node) -> None:
    node.start("mail=2", "control=1").ready()
    assert node.ask()["name"] in ("mail0", "mail1")
    node.signal(signal.SIGTERM)
    assert node.wait() == 0
    assert len(node.lines("ready")) == 1
    assert not node.lines("process_killed")
    with pytest.raises(ConnectionRefusedError):
        node.connect()


def test_one_thread_and_nothing_open_at_fork(node: Node) -> None:
    told = node.start("mail=1").ready().ask()
    assert told["threads_at_fork"] == 1
    assert node.process is not None
    tasks = os.listdir(f"/proc/{node.process.pid}/task")
    assert len(tasks) == 1
    supervisor = psutil.Process(node.process.pid)
    assert {Path(file.path).name for file in supervisor.open_files()} <= {"serve.lock", "log"}


def test_a_child_has_only_its_own_ports(node: Node) -> None:
    node.start("mail=2").ready()
    for child in node.children():
        ports = [c for c in child.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert len(ports) == 1


def test_a_killed_process_is_replaced_at_once_and_named(node: Node) -> None:
    first = node.start("mail=1").ready().ask()
    os.kill(first["pid"], signal.SIGKILL)
    second = node.ask()
    assert second["pid"] != first["pid"]
    assert second["incarnation"] != first["incarnation"]
    assert second["incarnation"].startswith("n1:mail0:")
    assert second["dead"] == [first["incarnation"]]
    died = node.await_event("process_died")
    assert (died["code"], died["restart_seconds"], died["name"]) == (-9, 0.0, "mail0")


def test_a_restart_keeps_the_backlog(node: Node) -> None:
    told = node.start("mail=1").ready().ask()
    os.kill(told["pid"], signal.SIGSTOP)
    waiting = [node.connect() for _ in range(5)]
    os.kill(told["pid"], signal.SIGKILL)
    assert {node.ask(connection)["pid"] for connection in waiting} != {told["pid"]}


def test_an_exception_is_logged_and_the_process_replaced(node: Node) -> None:
    node.start("mail=1").ready()
    with node.connect() as connection:
        connection.sendall(b"raise\n")
    node.await_event("process_died")
    assert node.ask()["dead"]


def test_a_stuck_process_is_replaced(node: Node) -> None:
    told = node.start("mail=1").ready().ask()
    with node.connect() as connection:
        connection.sendall(b"hang\n")
        assert node.await_event("process_stuck")["child"] == told["pid"]
    assert node.ask()["pid"] != told["pid"]


def test_children_die_with_a_killed_supervisor(node: Node) -> None:
    node.start("mail=2", "control=1").ready()
    assert len(node.children()) == 3
    assert node.kill() == []


def test_the_next_serve_frees_what_a_killed_one_left(node: Node) -> None:
    node.start("mail=2").ready()
    left = {line["incarnation"] for line in node.lines("process_started")}
    node.kill()
    node.start("mail=1")
    node.await_event("ready", 2)
    assert set(node.ask()["dead"]) == left
    node.signal(signal.SIGTERM)
    assert node.wait() == 0


def test_what_was_freed_is_forgotten(node: Node) -> None:
    first = node.start("mail=1").ready().ask()
    os.kill(first["pid"], signal.SIGKILL)
    second = node.ask()
    os.kill(second["pid"], signal.SIGKILL)
    assert node.ask()["dead"] == [second["incarnation"]]


def test_reload_reaches_children_without_dropping_a_connection(node: Node) -> None:
    node.start("mail=2", "control=1").ready()
    connections = [node.connect() for _ in range(4)]
    node.write("[limits]\nidle_timeout = '7s'")
    node.signal(signal.SIGHUP)
    node.await_event("reloaded")
    for connection in connections:
        assert node.ask(connection)["reloads"] == 1
    # A process started after the reload has the new configuration.
    told = node.ask()
    os.kill(told["pid"], signal.SIGKILL)
    node.await_event("process_ready", 4)
    answers = wait_until(lambda: [a for a in (node.ask() for _ in range(8)) if a["name"] == told["name"]])
    assert answers[0]["idle_timeout"] == 7.0


def test_a_bad_configuration_is_refused_at_reload(node: Node) -> None:
    told = node.start("mail=1").ready().ask()
    node.write("[limits]\nidle_timeout = 'seven'")
    node.signal(signal.SIGHUP)
    assert "limits.idle_timeout" in node.await_event("reload_refused")["problems"][0]
    assert node.ask()["pid"] == told["pid"]


def test_keys_that_wait_for_a_restart_are_named(node: Node) -> None:
    node.start("mail=1").ready()
    node.write("workers = 7")
    node.signal(signal.SIGHUP)
    assert node.await_event("restart_needed")["keys"] == ["workers"]


def test_a_busy_port_is_named_with_its_holder(node: Node) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", node.port))
        other.listen()
        node.start("mail=1")
        assert node.wait() == 1
    failed = node.lines("start_failed")[0]
    assert f"127.0.0.1:{node.port} is in use by process {os.getpid()}" in failed["detail"]
    assert failed["fix"]
    assert not node.lines("process_started")


def test_a_second_serve_is_refused(node: Node) -> None:
    node.start("mail=1").ready()
    other = Node(node.folder)
    other.start("mail=1")
    assert other.wait() == 1
    assert "serves from" in node.lines("start_failed")[0]["detail"]
    assert node.ask()


def test_a_start_that_fails_ends_all_with_its_status(node: Node) -> None:
    assert node.start("mail=1", "fails=1").wait() == 1
    assert not node.lines("ready")


def test_a_configuration_that_a_child_refuses_is_exit_2(node: Node) -> None:
    assert node.start("misconfigured=1").wait() == 2


def test_a_stubborn_process_is_killed_after_the_drain_time(node: Node) -> None:
    node.write("[limits]\ndrain_timeout = '1s'")
    node.start("mail=1", "stubborn=1").ready()
    node.signal(signal.SIGTERM)
    assert node.wait() == 0
    assert [line["name"] for line in node.lines("process_killed")] == ["stubborn0"]


def test_ctrl_c_is_a_drain(node: Node) -> None:
    node.start("mail=1", start_new_session=True).ready()
    assert node.process is not None
    os.killpg(node.process.pid, signal.SIGINT)
    assert node.wait() == 0
    assert not node.lines("process_died")


def test_metrics_ports_climb(node: Node) -> None:
    base = free_port()
    node.config.write_text(node.config.read_text().replace("[tls]", f'metrics = "127.0.0.1:{base}"\n[tls]'))
    node.start("mail=2").ready()
    for index in range(2):
        with socket.create_connection(("127.0.0.1", base + index), timeout=10) as connection:
            connection.sendall(b"?\n")
            assert json.loads(connection.makefile().readline())["name"] == f"mail{index}"


class TestServiceManager:
    """systemd's side of the protocol, played by the test."""

    @pytest.fixture
    def notified(self, node: Node, tmp_path: Path) -> Iterator[socket.socket]:
        path = tmp_path / "notify.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(20)
            node.environment |= {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "600000"}
            yield manager

    @staticmethod
    def until(manager: socket.socket, word: str) -> str:
        while True:
            state = manager.recv(4096).decode()
            if word in state:
                return state

    def test_ready_reloading_watchdog_stopping(self, node: Node, notified: socket.socket) -> None:
        node.start("mail=1")
        self.until(notified, "READY=1")
        self.until(notified, "WATCHDOG=1")
        node.signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in self.until(notified, "RELOADING=1")
        self.until(notified, "READY=1")
        node.signal(signal.SIGTERM)
        self.until(notified, "STOPPING=1")
        assert node.wait() == 0

    @pytest.mark.parametrize("name", ["submission", "gatepost.socket"])
    def test_systemds_sockets_are_shared(self, node: Node, name: str) -> None:
        """They find their role by its name, at any port, or by its port."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0 if name == "submission" else node.port))
            listening.listen()
            self.activate(node, listening, name)
            node.ready()
            node.port = listening.getsockname()[1]
        told = node.ask()
        os.kill(told["pid"], signal.SIGKILL)
        assert node.ask()["pid"] != told["pid"]
        node.signal(signal.SIGTERM)
        assert node.wait() == 0

    @staticmethod
    def activate(node: Node, listening: socket.socket, name: str) -> None:
        """Hand over a socket as descriptor 3; the variable must hold the pid of the program itself."""
        become = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
            "os.execv(sys.executable, [sys.executable, '-m', *sys.argv[2:]])"
        )
        program = ["tests.integration.supervisor.program", str(node.config), "mail=2"]
        with node.log_path.open("ab") as log:
            node.process = subprocess.Popen(
                [sys.executable, "-c", become, str(listening.fileno()), *program],
                stderr=log,
                env=node.environment | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": name},
                pass_fds=[listening.fileno()],
            )
