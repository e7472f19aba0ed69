"""Peers that are system packages: used where found, demanded under GATEPOST_REQUIRE_PEERS=1.

`make peers` installs all of them on Debian; `.ci/peers` has the packages' names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

RequirePeer = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class Peer:
    """A program or data set, and the Debian package that brings it."""

    package: str
    find: Callable[[], Path | None]


def _program(name: str) -> Callable[[], Path | None]:
    def find() -> Path | None:
        # Daemons stand in sbin, which is not on everybody's path.
        path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
        found = shutil.which(name, path=path)
        return Path(found) if found else None

    return find


def _perl_module(name: str) -> Callable[[], Path | None]:
    def find() -> Path | None:
        perl = _program("perl")()
        if perl is None:
            return None
        probe = [str(perl), f"-M{name}", "-e", "1"]
        found = subprocess.run(probe, capture_output=True, check=False).returncode == 0
        return perl if found else None

    return find


def _email_corpus() -> Path | None:
    """CPython's own messages for testing `email`: some odd, some broken, all from real life."""
    folders = sorted(Path("/usr/lib").glob("python3.*/test/test_email/data"))
    return folders[-1] if folders and any(folders[-1].glob("*.txt")) else None


PEERS = {
    "chromium": Peer("chromium", _program("chromium")),
    "curl": Peer("curl", _program("curl")),
    "dovecot": Peer("dovecot-core", _program("dovecot")),
    "email-corpus": Peer("libpython3-testsuite", _email_corpus),
    "knot": Peer("knot", _program("knotd")),
    "mail-dkim": Peer("libmail-dkim-perl", _perl_module("Mail::DKIM::Verifier")),
    "msmtp": Peer("msmtp", _program("msmtp")),
    "named-checkzone": Peer("bind9-utils", _program("named-checkzone")),
    "opendkim": Peer("opendkim", _program("opendkim")),
    "opendkim-testmsg": Peer("opendkim-tools", _program("opendkim-testmsg")),
    "postfix": Peer("postfix", _program("postfix")),
    "strace": Peer("strace", _program("strace")),
    "swaks": Peer("swaks", _program("swaks")),
    "systemd-analyze": Peer("systemd", _program("systemd-analyze")),
    "unbound": Peer("unbound", _program("unbound")),
}


@pytest.fixture(scope="session")
def require_peer() -> RequirePeer:
    """`require_peer(name)` gives the peer's path. Without it a test is skipped, or fails if required."""

    def require(name: str) -> Path:
        peer = PEERS[name]
        found = peer.find()
        if found is not None:
            return found
        message = f"{name} is not installed (Debian package {peer.package}); `make peers` installs it"
        if os.environ.get("GATEPOST_REQUIRE_PEERS") == "1":
            pytest.fail(message)
        pytest.skip(message)

    return require
