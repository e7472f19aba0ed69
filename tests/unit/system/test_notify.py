"""systemd's protocol and the hints between processes."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.system.notify import Hints, ServiceManager, activated_sockets


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def heard(manager: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in manager.recv(4096).decode().split("\n"))


def test_states(manager: socket.socket) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "30000000"})
    assert service.watchdog_seconds == 30.0
    service.ready("serving\nwell")
    assert heard(manager) == {"READY": "1", "STATUS": "serving well"}
    service.reloading()
    state = heard(manager)
    assert state["RELOADING"] == "1"
    assert int(state["MONOTONIC_USEC"]) > 0
    service.alive()
    assert heard(manager) == {"WATCHDOG": "1"}
    service.status("x")
    assert heard(manager) == {"STATUS": "x"}
    service.stopping("bye")
    assert heard(manager) == {"STOPPING": "1", "STATUS": "bye"}


def test_an_abstract_address() -> None:
    name = f"gatepost-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        listening.settimeout(5)
        ServiceManager({"NOTIFY_SOCKET": "@" + name}).alive()
        assert heard(listening) == {"WATCHDOG": "1"}


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    ServiceManager({}).ready("x")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")
    assert ServiceManager({}).watchdog_seconds is None
    assert ServiceManager({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_seconds is None


def test_no_sockets_that_are_not_ours() -> None:
    for environ in (
        {},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
    ):
        variables = dict(environ)
        assert activated_sockets(variables) == {}
        assert variables == {}


def test_hints(tmp_path: Path) -> None:
    one, other = Hints(tmp_path, "mail0"), Hints(tmp_path, "mail1")
    got: list[str] = []
    assert one.send("revision") == 1
    one.send("revision")
    one.send("queue")
    other.receive(got.append)
    one.receive(got.append)
    assert got == ["revision", "queue"]
    other.close()
    assert one.send("queue") == 0
    one.close()
    assert list(tmp_path.iterdir()) == []


def test_hints_to_the_dead_and_the_busy_are_lost_without_harm(tmp_path: Path) -> None:
    one, busy = Hints(tmp_path, "mail0"), Hints(tmp_path, "mail1")
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(tmp_path / "dead.sock"))
    dead.close()
    for _ in range(5_000):
        one.send("queue")
    assert not (tmp_path / "dead.sock").exists()
    got: list[str] = []
    busy.receive(got.append)
    assert got == ["queue"]
    # A process that follows a killed one takes its place.
    again = Hints(tmp_path, "mail1")
    assert one.send("queue") == 1
    for hints in (one, busy, again):
        hints.close()


def test_hints_in_a_folder_with_a_name_longer_than_a_sockets(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    one, other = Hints(folder, "mail0"), Hints(folder, "mail1")
    got: list[str] = []
    assert one.send("queue") == 1
    other.receive(got.append)
    assert got == ["queue"]
    one.close()
    other.close()
    assert list(folder.iterdir()) == []


def test_who_has_no_name_sends_and_hears_nothing(tmp_path: Path) -> None:
    mute, listening = Hints(tmp_path), Hints(tmp_path, "mail0")
    got: list[str] = []
    assert mute.send("queue") == 1
    assert listening.send("queue") == 0
    listening.receive(got.append)
    mute.receive(got.append)
    assert got == ["queue"]
    mute.close()
    listening.close()
    assert list(tmp_path.iterdir()) == []
