"""What the keys of a configuration must say together."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import fields

from gateway.system.config.model import Config, Endpoint
from gateway.system.toml_lines import Path, dotted

ANYWHERE = ("0.0.0.0", "::")


def disagreements(config: Config) -> Iterator[tuple[Path, str]]:
    """The key and what is wrong with it, for every pair of keys that cannot both stand."""
    yield from _tls(config)
    yield from _ports(config)
    yield from _databases(config)
    yield from _publishing(config)


def _tls(config: Config) -> Iterator[tuple[Path, str]]:
    talks = "mail" in config.roles and (config.listen.submission or config.listen.submissions)
    if talks and config.tls is None:
        yield ("tls",), "submission needs a certificate; write [tls] with certificate and key"
    serves = "control" in config.roles and any(not is_loopback(one) for one in config.listen.api)
    if serves and config.tls is None:
        yield ("tls",), "an API that others than this machine reach needs a certificate; write [tls]"


def is_loopback(endpoint: Endpoint) -> bool:
    """Whether only this machine reaches an address: the API speaks plain HTTP there, TLS elsewhere."""
    return ipaddress.ip_address(endpoint.host).is_loopback


def listeners(config: Config) -> Iterator[tuple[Path, Endpoint]]:
    """Every address that this node will listen at, with the key it comes from."""
    for role in fields(config.listen):
        if role.name != "metrics":
            for endpoint in getattr(config.listen, role.name):
                yield ("listen", role.name), endpoint
    if config.listen.metrics is not None:
        for process in range(metrics_ports(config)):
            yield ("listen", "metrics"), config.listen.metrics.above(process)


def metrics_ports(config: Config) -> int:
    """How many ports from `[listen] metrics` up are used: one a mail process."""
    return config.workers if "mail" in config.roles else 0


def _ports(config: Config) -> Iterator[tuple[Path, str]]:
    base = config.listen.metrics
    if base is not None and base.port + metrics_ports(config) - 1 > 65_535:
        message = f"{metrics_ports(config)} ports are used from here up, one a process; choose a lower one"
        yield ("listen", "metrics"), message
        return
    taken: list[tuple[Path, Endpoint]] = []
    for path, endpoint in listeners(config):
        other = next((one for one in taken if _meet(one[1], endpoint)), None)
        if other is not None:
            yield path, f"port {endpoint.port} is taken by {dotted(other[0])} ({other[1]}); choose another"
        taken.append((path, endpoint))


def _meet(one: Endpoint, other: Endpoint) -> bool:
    if one.port != other.port or (":" in one.host) != (":" in other.host):
        return False
    return one.host == other.host or one.host in ANYWHERE or other.host in ANYWHERE


def _databases(config: Config) -> Iterator[tuple[Path, str]]:
    seen: dict[str, str] = {config.control.url: "[control]"}
    blobs: dict[str, str] = {}
    for name, location in config.locations.items():
        holder = seen.setdefault(location.url, f"[locations.{name}]")
        if holder != f"[locations.{name}]":
            yield ("locations", name, "url"), f"{holder} has the same database; each needs one of its own"
        holder = blobs.setdefault(location.blobs, f"[locations.{name}]")
        if holder != f"[locations.{name}]":
            yield ("locations", name, "blobs"), f"{holder} has the same blob store; each needs one of its own"


def _publishing(config: Config) -> Iterator[tuple[Path, str]]:
    part = config.publishing
    if part.server is None:
        return
    if part.command is not None:
        yield ("publishing", "command"), "the server is written to already; leave one of the two out"
    if not part.zones:
        yield ("publishing", "server"), "name the zones that may be written to: zones = [ … ]"
    for key in ("tsig_name", "tsig_secret_file"):
        if getattr(part, key) is None:
            yield ("publishing", "server"), f"updates are signed; write {key} too"
