"""`gatepost check` on real files."""

import os
import socket
import time
from pathlib import Path

import pytest

from gateway.system.config.check import CheckReport, check_config, sqlite_note
from gateway.system.secrets import MasterKey
from gateway.system.tls import make_certificates
from tests.support.gateway import free_port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with all it names."""
    make_certificates(tmp_path, time.time(), names=["mail.example.com"])
    MasterKey.create(tmp_path / "master.key")
    write(tmp_path)
    return tmp_path


def write(folder: Path, more: str = "", port: int | None = None) -> None:
    (folder / "gatepost.toml").write_text(
        f'hostname = "mail.example.com"\nstate_dir = "state"\n[listen]\n'
        f'submission = ["127.0.0.1:{port or free_port()}"]\nsubmissions = []\n'
        f'[tls]\ncertificate = "certificate.pem"\nkey = "key.pem"\n{more}'
    )


def check(folder: Path) -> CheckReport:
    return check_config(folder / "gatepost.toml", {})


def test_a_good_one(folder: Path) -> None:
    report = check(folder)
    assert report.problems == ()
    assert report.lines()[0] == "the configuration is good"
    assert any("SQLite 3." in note for note in report.notes)
    assert not (folder / "state").exists()


@pytest.mark.parametrize(
    ("spoil", "line", "key", "said"),
    [
        (lambda f: (f / "certificate.pem").unlink(), 7, "tls.certificate", "No such file"),
        (lambda f: (f / "key.pem").write_text("x"), 8, "tls.key", "not a PEM"),
        (lambda f: (f / "master.key").unlink(), 1, "master_key.file", "no master key"),
        (lambda f: (f / "master.key").chmod(0o644), 1, "master_key.file", "master.key"),
        (lambda f: (f / "state").write_text(""), 2, "state_dir", "not a folder"),
        (lambda f: write(f, '[relay]\nca_file = "none.pem"\n'), 10, "relay.ca_file", "No such file"),
        (lambda f: write(f, '[relay]\nca_file = "key.pem"\n'), 10, "relay.ca_file", "no PEM certificates"),
        (lambda f: write(f, "[limits]\nhops = 1\n"), 10, "limits.hops", "out of range"),
    ],
)
def test_problems(folder: Path, spoil: object, line: int, key: str, said: str) -> None:
    assert callable(spoil)
    spoil(folder)
    found = [(one.line, one.key, one.message) for one in check(folder).problems]
    assert [(line, key)] == [one[:2] for one in found]
    assert said in found[0][2]


def test_a_key_of_another_certificate(folder: Path) -> None:
    make_certificates(folder / "other", time.time())
    (folder / "other/key.pem").replace(folder / "key.pem")
    problem = check(folder).problems[0]
    assert (problem.line, problem.key) == (8, "tls.key")
    assert "does not belong" in problem.message


def test_an_unknown_user(folder: Path) -> None:
    path = folder / "gatepost.toml"
    path.write_text('user = "no-such-user-here"\n' + path.read_text())
    assert check(folder).problems[0].key == "user"


def test_notes(folder: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        write(folder, port=busy.getsockname()[1])
        path = folder / "gatepost.toml"
        path.write_text(path.read_text().replace("[listen]", '[listen]\nimap = ["127.0.0.1:1143"]'))
        make_certificates(folder, time.time() - 820 * 86_400, names=["other.example.com"])
        (folder / "key.pem").chmod(0o644)
        notes = " | ".join(check(folder).notes)
    assert f"in use by process {os.getpid()}" in notes
    for said in ("listen.imap has no effect", "expires at", "does not name", "everyone may read"):
        assert said in notes


@pytest.mark.parametrize(
    ("version", "has_bug"),
    [
        ((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False), ((3, 45, 0), True), ((3, 50, 6), True),
        ((3, 50, 7), False), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 52, 0), False),
    ],
)  # fmt: skip
def test_sqlite_versions(version: tuple[int, ...], has_bug: bool) -> None:
    assert ("WAL-reset bug" in sqlite_note(version)) is has_bug


def test_who_publishes_must_be_there_and_the_secret_ones_own(folder: Path) -> None:
    secret = folder / "tsig"
    more = (
        '[publishing]\nserver = "192.0.2.53"\nzones = ["mail.example.com"]\ntsig_name = "gatepost"\n'
        f'tsig_secret_file = "{secret}"\n'
    )
    write(folder, more)
    assert ["cannot be read" in str(one) for one in check(folder).problems] == [True]
    secret.write_text("c2VjcmV0")
    secret.chmod(0o644)
    assert ["chmod 640" in str(one) for one in check(folder).problems] == [True]
    secret.chmod(0o600)
    assert check(folder).problems == ()
    write(folder, f'[publishing]\ncommand = "{secret}"\n')
    assert ["make it executable" in str(one) for one in check(folder).problems] == [True]
