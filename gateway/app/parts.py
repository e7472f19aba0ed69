"""Parts that every process of an installation opens: databases, master key, lasting secrets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.app.upgrading import seal_heads, upgraded
from gateway.control.installation.service import Installation, check_before_upgrade
from gateway.outgoing.shards import Organisations, ReturnPaths
from gateway.system.blobs import BlobStore, open_blobs
from gateway.system.clock import Clock, SystemClock
from gateway.system.config import Config
from gateway.system.database import Database, refuse_newer
from gateway.system.ids import IdSource
from gateway.system.secrets import MasterKey

_RETURN_PATH_KEY = 1


@dataclass(frozen=True)
class Ground:
    """What a process stands on. Made after the fork, closed at its end."""

    config: Config
    clock: Clock
    ids: IdSource
    control: Database
    locations: Mapping[str, Database]
    master_key: MasterKey
    installation: Installation

    def blobs(self, location: str) -> BlobStore:
        """The blob store of a location."""
        return open_blobs(self.config.locations[location].blobs)

    @property
    def return_paths(self) -> ReturnPaths:
        """Makes and verifies return paths."""
        return ReturnPaths({_RETURN_PATH_KEY: self.installation.durable_key("return-path")}, _RETURN_PATH_KEY)

    @property
    def organisations(self) -> Organisations:
        """Organisational domains; the trial zone counts as a public suffix."""
        return Organisations([self.config.trial_zone])


@contextlib.contextmanager
def opened(config: Config, *, migrate: bool = False) -> Iterator[Ground]:
    """Open databases and secrets; with `migrate` bring older schemas up to date first, if configured so.

    Raises DatabaseAway, SchemaError, SecretError, DatabaseUrlInvalid: nothing was changed then.
    """
    clock = SystemClock()
    mode: Literal["auto", "manual"] = "auto" if migrate and config.control.migrate == "auto" else "manual"
    with contextlib.ExitStack() as stack:
        master_key = MasterKey.load(config.master_key_file)
        make_folders(config)
        control = stack.enter_context(Database.open(config.control.url, purpose="control"))
        # Everything is looked at before anything is touched.
        refuse_newer(control, "control")
        check_before_upgrade(control, master_key)
        locations = {}
        for name, location in config.locations.items():
            locations[name] = stack.enter_context(Database.open(location.url, purpose=name))
            refuse_newer(locations[name], "location")
        unsealed = upgraded({control: "control", **dict.fromkeys(locations.values(), "location")}, mode)
        installation = Installation.open(control, master_key, clock)
        seal_heads(unsealed, installation)
        yield Ground(config, clock, IdSource(clock), control, locations, master_key, installation)


def make_folders(config: Config) -> None:
    """Make the folders that belong to the installation, private to its user."""
    for folder in (config.state_dir, run_folder(config)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def run_folder(config: Config) -> Path:
    """Where processes leave what only this node's next ones read."""
    return config.state_dir / "run"


def capture_folder(config: Config) -> Path:
    """Where `capture:` without a folder writes."""
    return config.state_dir / "captured"
