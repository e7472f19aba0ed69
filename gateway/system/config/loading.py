"""Reading the configuration: the file, the environment, then what the keys say together."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.system.config.agreement import disagreements
from gateway.system.config.keys import LOCATION, REQUIRED, SECTIONS, TOP, Key
from gateway.system.config.model import (
    ApiConfig,
    AuthConfig,
    Config,
    ConfigError,
    ControlDatabase,
    DkimConfig,
    DnsConfig,
    DoctorConfig,
    DomainsConfig,
    Endpoint,
    LimitsConfig,
    Listen,
    LocationConfig,
    NoticesConfig,
    PublishingConfig,
    RelayConfig,
    TlsFiles,
    WebhooksConfig,
)
from gateway.system.config.overrides import ENVIRONMENT, Override, find_overrides
from gateway.system.config.values import Mistake
from gateway.system.toml_lines import (
    Path as KeyPath,
)
from gateway.system.toml_lines import (
    Problem,
    TomlDocument,
    TomlSyntaxError,
    did_you_mean,
    dotted,
    parse_toml,
)

DEFAULT_PATH = Path("/etc/gatepost/gatepost.toml")
_CREDENTIAL = "master-key"


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration of `path` (else `GATEPOST_CONFIG`, else /etc/gatepost/gatepost.toml).

    Raises ConfigError with every mistake.
    """
    return load_located(path, environ).config


@dataclass(frozen=True, slots=True)
class Located:
    """A configuration, and a way to point at the place of each of its keys."""

    config: Config
    problem: Callable[[KeyPath, str], Problem]


def load_located(path: Path | None, environ: Mapping[str, str]) -> Located:
    """As `load`, for those who look further. Raises ConfigError."""
    file = (path or Path(environ.get("GATEPOST_CONFIG") or DEFAULT_PATH)).absolute()
    document = _read(file)
    reading = _Reading(document, file.parent, environ)
    config = reading.config(file)
    if config is None or reading.problems:
        raise ConfigError(tuple(sorted(reading.problems, key=lambda problem: (problem.file, problem.line))))
    return Located(config, reading.problem)


def _read(file: Path) -> TomlDocument:
    try:
        text = file.read_bytes().decode("utf-8")
        return parse_toml(text, str(file))
    except FileNotFoundError:
        message = 'there is no such file; name one with --config, or let "gatepost quickstart" write one'
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8 text (octet {error.start})"
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
    except TomlSyntaxError as error:
        raise ConfigError((error.problem,)) from None
    raise ConfigError((Problem(str(file), 0, "", message),))


class _Reading:
    """One reading of one file: collects values and problems side by side."""

    def __init__(self, document: TomlDocument, folder: Path, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._folder = folder
        self._environ = environ
        locations = document.data.get("locations")
        names = list(locations) if isinstance(locations, dict) else []
        self._overrides, problems = find_overrides(environ, names)
        self.problems += problems

    def config(self, file: Path) -> Config | None:
        """The configuration; None if it could not be put together (then there are problems)."""
        self._unknown_at_top()
        top = self._values((), TOP)
        sections = {name: self._section(name, keys) for name, keys in SECTIONS.items()}
        locations = self._locations()
        self._open_secrets(file)
        if self.problems:
            return None
        config = self._put_together(file, top, sections, locations)
        self.problems += [self.problem(path, message) for path, message in disagreements(config)]
        return config

    # --- tables and keys ---

    def _unknown_at_top(self) -> None:
        allowed = [*(key.name for key in TOP), *SECTIONS, "locations"]
        for name, value in self._document.data.items():
            if name not in allowed:
                what = "section" if _is_table(value) else "key"
                self._report((name,), f"there is no such {what}{did_you_mean(name, allowed)}")

    def _section(self, name: str, keys: tuple[Key, ...]) -> dict[str, Any] | None:
        """The values of a section; None for one that is left out and has required keys."""
        table = self._document.data.get(name)
        if table is not None and not _is_table(table):
            self._report((name,), f"this is a section; write [{name}]")
            return None
        absent = table is None and not any(path[:1] == (name,) for path in self._overrides)
        if absent and any(key.default is REQUIRED for key in keys):
            return None
        return self._values((name,), keys, table or {})

    def _locations(self) -> dict[str, dict[str, Any]]:
        table = self._document.data.get("locations", {})
        if not _is_table(table):
            self._report(("locations",), "write a section for each location, such as [locations.default]")
            return {}
        overridden = [str(path[1]) for path in self._overrides if path[0] == "locations"]
        found: dict[str, dict[str, Any]] = {}
        for name in dict.fromkeys([*table, *overridden]):
            one = table.get(name, {})
            if not _is_table(one):
                self._report(("locations", name), f"this is a section; write [locations.{name}]")
            elif not _is_location_name(name):
                message = "the name of a location has lower-case letters, digits and dashes, at most 32"
                self._report(("locations", name), message)
            else:
                found[name] = self._values(("locations", name), LOCATION, one)
        return found

    def _values(
        self, base: KeyPath, keys: tuple[Key, ...], table: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        given = self._document.data if table is None else table
        if base:
            names = [key.name for key in keys]
            for name in given:
                if name not in names:
                    where = f"[{dotted(base)}]"
                    self._report((*base, name), f"{where} has no such key{did_you_mean(name, names)}")
        return {key.field: self._value((*base, key.name), key, given) for key in keys}

    def _value(self, path: KeyPath, key: Key, table: Mapping[str, Any]) -> Any:
        override = self._overrides.get(path)
        if override is not None:
            value = key.kind.from_text(override.value)
        elif key.name in table:
            value = table[key.name]
        else:
            if key.default is REQUIRED:
                self._report(path, f"this key is needed; {_needed(path)}")
            return key.default
        try:
            return key.kind.read(value, self._folder)
        except Mistake as error:
            self._report(path, str(error))
            return None

    # --- problems ---

    def _report(self, path: KeyPath, message: str) -> None:
        self.problems.append(self.problem(path, message))

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem where the value came from."""
        override: Override | None = self._overrides.get(path)
        if override is not None:
            return Problem(ENVIRONMENT, 0, override.variable, message)
        return self._document.problem(path, message)

    def _open_secrets(self, file: Path) -> None:
        """A file that everyone may read must hold no password."""
        if not stat.S_IMODE(file.stat().st_mode) & stat.S_IROTH:
            return
        data = self._document.data
        holders: list[KeyPath] = [("control", "url"), ("relay", "default_route")]
        if _is_table(data.get("locations")):
            holders += [("locations", name, "url") for name in data["locations"]]
        for path in holders:
            if _has_password(_at(data, path)):
                message = f"this holds a password and everyone may read the file; chmod 640 {file}"
                self._report(path, message)

    # --- defaults that depend on others ---

    def _put_together(
        self,
        file: Path,
        top: dict[str, Any],
        sections: dict[str, dict[str, Any] | None],
        locations: dict[str, dict[str, Any]],
    ) -> Config:
        part = {name: values or {} for name, values in sections.items()}
        state_dir: Path = top["state_dir"] or Path("/var/lib/gatepost")
        top |= {
            "node": top["node"] or os.uname().nodename,
            "workers": top["workers"] or len(os.sched_getaffinity(0)),
            "state_dir": state_dir,
        }
        control = part["control"]
        control["url"] = control["url"] or f"sqlite:///{state_dir}/control.db"
        locations = locations or {"default": {"url": f"sqlite:///{state_dir}/location.db", "blobs": None}}
        return Config(
            path=file,
            **top,
            listen=_listen(part["listen"]),
            tls=TlsFiles(**part["tls"]) if part["tls"] else None,
            control=ControlDatabase(**control),
            locations={name: _location(name, one, state_dir) for name, one in locations.items()},
            master_key_file=self._master_key(part["master_key"]["file"]),
            trial_zone=part["trial"]["zone"] or f"trial.{top['hostname']}",
            relay=RelayConfig(**part["relay"]),
            dns=DnsConfig(**part["dns"]),
            api=ApiConfig(**part["api"]),
            auth=AuthConfig(**part["auth"]),
            limits=LimitsConfig(**part["limits"]),
            webhooks=WebhooksConfig(**part["webhooks"]),
            notices=NoticesConfig(**part["notices"]),
            publishing=PublishingConfig(**part["publishing"]),
            dkim=DkimConfig(**part["dkim"]),
            doctor=DoctorConfig(**part["doctor"]),
            domains=DomainsConfig(**part["domains"]),
            trial_selectors=part["trial"]["selectors"],
            trial_days=part["trial"]["days"],
        )

    def _master_key(self, named: Path | None) -> Path:
        """systemd's credential `master-key` where there is one, else the file named, else one beside this."""
        folder = self._environ.get("CREDENTIALS_DIRECTORY")
        if folder and (Path(folder) / _CREDENTIAL).exists():
            return Path(folder) / _CREDENTIAL
        return named or self._folder / "master.key"


def _listen(given: dict[str, Any]) -> Listen:
    everywhere = ("0.0.0.0", "[::]")
    for role, port in (("submission", 587), ("submissions", 465)):
        if given[role] is None:
            given[role] = tuple(Endpoint(f"{host}:{port}") for host in everywhere)
    return Listen(**given)


def _location(name: str, given: dict[str, Any], state_dir: Path) -> LocationConfig:
    blobs = given["blobs"] or str(state_dir / "blobs" / name)
    return LocationConfig(name=name, url=given["url"], blobs=blobs)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_location_name(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name) is not None


def _needed(path: KeyPath) -> str:
    examples = {
        "hostname": 'write hostname = "mail.example.com", the name clients connect to',
        "certificate": "name the certificate chain, a PEM file",
        "key": "name the private key, a PEM file",
        "url": 'write url = "sqlite:////folder/file.db" or "postgresql://user@host/name"',
    }
    return examples[str(path[-1])]


def _at(data: Mapping[str, Any], path: KeyPath) -> object:
    value: Any = data
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _has_password(value: object) -> bool:
    """Whether a URL has `user:password@`."""
    if not isinstance(value, str):
        return False
    user, at, _ = value.partition("://")[2].rpartition("@")
    return bool(at) and ":" in user
