"""`gatepost check`: what a configuration means on this machine, beyond what its text says."""

from __future__ import annotations

import importlib.util
import os
import pwd
import sqlite3
import ssl
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.system.config.agreement import listeners
from gateway.system.config.loading import Located, load_located
from gateway.system.config.model import Config, ConfigError
from gateway.system.ports import PortError, check_free
from gateway.system.secrets import MasterKey, SecretError
from gateway.system.tls import TlsError, certificate_warnings, server_context
from gateway.system.toml_lines import Path as KeyPath
from gateway.system.toml_lines import Problem

_NOT_SERVED_YET = ("inbound", "imap", "imaps")
# The first release of each line without the WAL-reset bug (https://sqlite.org/wal.html#walresetbug).
_SQLITE_REPAIRED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found: problems keep the gateway from serving, notes are for the operator to judge."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One line for each finding, as a person reads it."""
        if self.problems:
            return [str(problem) for problem in self.problems]
        return ["the configuration is good", *(f"note: {note}" for note in self.notes)]


def check_config(path: Path | None, environ: Mapping[str, str]) -> CheckReport:
    """Everything that can be known without starting; nothing is changed and no database is opened."""
    try:
        located = load_located(path, environ)
    except ConfigError as error:
        return CheckReport(error.problems)
    problems = [located.problem(where, message) for where, message in _problems(located.config)]
    problems.sort(key=lambda problem: (problem.file, problem.line))
    return CheckReport(tuple(problems), tuple(_notes(located)))


def _problems(config: Config) -> Iterator[tuple[KeyPath, str]]:
    yield from _tls(config)
    yield from _master_key(config)
    yield from _folders(config)
    yield from _packages(config)
    yield from _publishing(config)
    if config.user is not None:
        try:
            pwd.getpwnam(config.user)
        except KeyError:
            yield ("user",), f"there is no such user; make it: adduser --system --group {config.user}"


def _tls(config: Config) -> Iterator[tuple[KeyPath, str]]:
    if config.tls is not None:
        try:
            server_context(config.tls)
        except TlsError as error:
            which = "key" if str(config.tls.key) in str(error) else "certificate"
            yield ("tls", which), str(error)
    if config.relay.ca_file is not None:
        try:
            ssl.create_default_context(cafile=str(config.relay.ca_file))
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if isinstance(error, FileNotFoundError) else "no PEM certificates in it"
            yield ("relay", "ca_file"), f"{config.relay.ca_file} cannot be used: {reason}"


def _master_key(config: Config) -> Iterator[tuple[KeyPath, str]]:
    try:
        MasterKey.load(config.master_key_file)
    except SecretError as error:
        yield ("master_key", "file"), str(error)


def _publishing(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Who publishes names must be there, and the secret of updates this user's alone."""
    file, command = config.publishing.tsig_secret_file, config.publishing.command
    if file is not None:
        key = ("publishing", "tsig_secret_file")
        if not _readable(file):
            yield key, f"{file} cannot be read; write the key's secret into it, in base64"
        elif stat.S_IMODE(file.stat().st_mode) & stat.S_IROTH:
            yield key, f"everyone may read {file}; chmod 640 it"
    if command is not None and not os.access(command, os.X_OK):
        yield ("publishing", "command"), f"{command} cannot be run; make it executable"


def _folders(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Folders are made where they are missing, if that can be; a database's folder must be there."""
    wanted: list[tuple[KeyPath, Path]] = [(("state_dir",), config.state_dir)]
    for name, location in config.locations.items():
        if location.blobs.startswith("/"):
            wanted.append((("locations", name, "blobs"), Path(location.blobs)))
    for key, url in _urls(config):
        if url.startswith("sqlite:"):
            wanted.append((key, Path(url.removeprefix("sqlite:///")).parent))
    seen: set[Path] = set()
    for key, folder in wanted:
        nearest = next(one for one in (folder, *folder.parents) if one.exists())
        if nearest in seen:
            continue
        seen.add(nearest)
        if not nearest.is_dir():
            yield key, f"{nearest} is not a folder; name another place"
        elif not os.access(nearest, os.W_OK | os.X_OK):
            yield (
                key,
                f"{nearest} may not be written by this user; change its owner, or check as the service's",
            )


def _packages(config: Config) -> Iterator[tuple[KeyPath, str]]:
    for key, url in _urls(config):
        if url.startswith("postgres") and importlib.util.find_spec("psycopg") is None:
            yield key, "PostgreSQL needs the package psycopg: pip install 'gatepost[postgresql]'"
    for name, location in config.locations.items():
        if location.blobs.startswith("s3:") and importlib.util.find_spec("obstore") is None:
            yield ("locations", name, "blobs"), "S3 needs the package obstore: pip install 'gatepost[s3]'"


def _urls(config: Config) -> Iterator[tuple[KeyPath, str]]:
    yield ("control", "url"), config.control.url
    for name, location in config.locations.items():
        yield ("locations", name, "url"), location.url


def _notes(located: Located) -> Iterator[str]:
    config = located.config
    if config.tls is not None and _readable(config.tls.certificate):
        yield from certificate_warnings(config.tls, config.hostname, time.time())
    if config.tls is not None and _readable(config.tls.key):
        mode = stat.S_IMODE(config.tls.key.stat().st_mode)
        if mode & stat.S_IROTH:
            yield f"everyone may read the TLS key {config.tls.key}; chmod 640 it"
    for role in _NOT_SERVED_YET:
        if getattr(config.listen, role):
            yield f"listen.{role} has no effect in this version"
    served = [address for key, address in listeners(config) if key[1] not in _NOT_SERVED_YET]
    try:
        check_free(served)
    except PortError as error:
        yield f"ports: {error.detail} (fine if that is this gateway)"
    if config.user is None and os.geteuid() == 0:
        yield "`user` is not set: started as root, the gateway stays root"
    if any(url.startswith("sqlite:") for _, url in _urls(config)):
        yield sqlite_note(sqlite3.sqlite_version_info)


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK)


def sqlite_note(version: tuple[int, ...]) -> str:
    """What there is to know of the linked SQLite."""
    name = ".".join(map(str, version))
    repaired = version >= _SQLITE_REPAIRED[-1] or any(
        version[:2] == one[:2] and version >= one for one in _SQLITE_REPAIRED
    )
    if repaired:
        return f"SQLite {name}"
    return (
        f"SQLite {name} has the WAL-reset bug (repaired in 3.44.6, 3.50.7, 3.51.3); our own file lock keeps "
        "writers and checkpoints apart, so do not write to its databases with other programs while it serves"
    )
