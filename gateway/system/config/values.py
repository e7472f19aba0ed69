"""Kinds of values: how each is read from TOML or from text, and what a mistake in it is called."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.system.config.model import Endpoint
from gateway.system.toml_lines import did_you_mean

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)
_SIZE_UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_DURATION_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)", re.ASCII)
_DURATION_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+{_LABEL}")
_KEY_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}")
_NODE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_USER_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


class Mistake(ValueError):
    """A value that cannot be used; the text says what is wrong and what to write."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    `read(value, folder)` turns what TOML gave into the value, relative paths counted from `folder`; it raises
    Mistake. `from_text` turns an environment variable into what TOML
    would give.
    """

    read: Callable[[Any, Path], Any]
    from_text: Callable[[str], Any] = str


def parse_size(value: object) -> int:
    """Octets of `25 MiB`, `64 KB` or a bare number. Raises Mistake."""
    advice = 'write a size such as "25 MiB" or "64 KB"'
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    unit = _SIZE_UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise Mistake(f"{_shown(value)} is no size; {advice}")
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit


def parse_duration(value: object) -> float:
    """Seconds of `30s`, `5min`, `1h 30m`, `3d`, `250ms` or a bare number of seconds. Raises Mistake."""
    advice = 'write a duration such as "30s", "5min", "2h" or "3d"'
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
        return float(value)
    if not isinstance(value, str) or not value.strip():
        raise Mistake(f"{_shown(value)} is no duration; {advice}")
    text, at, seconds = value.strip().lower(), 0, 0.0
    while at < len(text):
        part = _DURATION_PART.match(text, at)
        if part is None:
            raise Mistake(f"{_shown(value)} is no duration; {advice}")
        seconds += float(part[1]) * _DURATION_UNITS[part[2]]
        at = part.end()
    return seconds


def size(least: int, most: int) -> Kind:
    """A size between two bounds, both in octets."""

    def read(value: Any, _: Path) -> int:
        return int(_within(parse_size(value), least, most, "octets"))

    return Kind(read)


def duration(least: float, most: float) -> Kind:
    """A duration between two bounds, both in seconds."""

    def read(value: Any, _: Path) -> float:
        return _within(parse_duration(value), least, most, "seconds")

    return Kind(read)


def integer(least: int, most: int) -> Kind:
    """A whole number between two bounds."""

    def read(value: Any, _: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Mistake(f"{_shown(value)} is no whole number; write one from {least} to {most}")
        return int(_within(value, least, most, ""))

    return Kind(read, _number_from_text)


def choice(*allowed: str) -> Kind:
    """One of a few words."""

    def read(value: Any, _: Path) -> str:
        if value not in allowed:
            raise Mistake(f"{_shown(value)} is not allowed; {_one_of(allowed)}{_near(value, allowed)}")
        return str(value)

    return Kind(read)


def choices(*allowed: str) -> Kind:
    """A list of some of a few words; gives a frozenset."""
    one = choice(*allowed)

    def read(value: Any, folder: Path) -> frozenset[str]:
        words = frozenset(one.read(word, folder) for word in _a_list(value))
        if not words:
            raise Mistake(f"the list is empty; name at least one: {', '.join(allowed)}")
        return words

    return Kind(read, _list_from_text)


def flag() -> Kind:
    """True or false."""

    def read(value: Any, _: Path) -> bool:
        if not isinstance(value, bool):
            raise Mistake(f"{_shown(value)} is neither; write true or false")
        return value

    return Kind(read, lambda word: {"true": True, "false": False}.get(word.strip().lower(), word))


def many(kind: Kind) -> Kind:
    """A list of values of one kind, each once; gives a tuple."""

    def read(value: Any, folder: Path) -> tuple[Any, ...]:
        values = tuple(kind.read(one, folder) for one in _a_list(value))
        for one in values:
            if values.count(one) > 1:
                raise Mistake(f"{_shown(one)} stands there twice; leave one out")
        return values

    return Kind(read, _list_from_text)


def endpoint(default_port: int | None = None) -> Kind:
    """`host:port` with an IP address; `*` and `localhost` are understood."""

    def read(value: Any, _: Path) -> Endpoint:
        example = '"127.0.0.1:587" or "[::1]:587"'
        text = _a_text(value, f"write an address and a port such as {example}")
        host, port = _split_endpoint(text, default_port)
        if host is None:
            raise Mistake(f"{_shown(text)} is no IP address with a port; write one such as {example}")
        if port is None or not 1 <= port <= 65_535:
            raise Mistake(f"{_shown(text)} has no port from 1 to 65535; write it as in {example}")
        return Endpoint(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    return Kind(read)


def _split_endpoint(text: str, default_port: int | None) -> tuple[str | None, int | None]:
    host, port = text, default_port
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if rest:
            port = int(rest[1:]) if re.fullmatch(r":\d{1,5}", rest, re.ASCII) else None
    elif text.count(":") == 1:
        host, _, digits = text.partition(":")
        port = int(digits) if re.fullmatch(r"\d{1,5}", digits, re.ASCII) else None
    host = {"localhost": "127.0.0.1", "*": "0.0.0.0"}.get(host, host)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return None, port


def path() -> Kind:
    """A file or folder; relative ones count from the configuration file's folder."""

    def read(value: Any, folder: Path) -> Path:
        text = _a_text(value, "write a path")
        return Path(os_path(text, folder))

    return Kind(read)


def os_path(text: str, folder: Path) -> str:
    """`text` as an absolute path, relative ones below `folder`, `..` resolved by name. Raises Mistake."""
    if "\0" in text:
        raise Mistake("a path has no NUL octet")
    if text.startswith("~"):
        raise Mistake("~ is not understood here; write the whole path")
    return str((folder / text).absolute())


def text(pattern: re.Pattern[str], advice: str, *, lower: bool = False) -> Kind:
    """A text of one form."""

    def read(value: Any, _: Path) -> str:
        word = _a_text(value, advice)
        word = word.lower() if lower else word
        if not pattern.fullmatch(word):
            raise Mistake(f"{_shown(value)} is not valid; {advice}")
        return word

    return Kind(read)


def host_name(*, fewest_labels: int = 2) -> Kind:
    """A domain name in A-label form, lower case; a full one unless `fewest_labels` says otherwise."""
    form = _HOST_NAME if fewest_labels > 1 else _KEY_NAME

    def read(value: Any, _: Path) -> str:
        advice = 'write a full domain name such as "mail.example.com" (or its xn-- form)'
        name = _a_text(value, advice).lower().rstrip(".")
        if not form.fullmatch(name) or name.rpartition(".")[2].isdigit():
            raise Mistake(f"{_shown(value)} is no full domain name; {advice}")
        return name

    return Kind(read)


def node_name() -> Kind:
    """The name of this node."""
    return text(_NODE_NAME, "write letters, digits, dots, dashes and underscores, at most 63")


def user_name() -> Kind:
    """The name of a system user."""
    return text(_USER_NAME, "write the name of a system user")


def recipient() -> Kind:
    """An address, or a domain for all addresses in it; lower case."""

    def read(value: Any, _: Path) -> str:
        advice = "write an address, or a domain for all addresses in it"
        word = _a_text(value, advice).strip().lower().removeprefix("@")
        if not re.fullmatch(r"(?:[^@\s\x00-\x1f]+@)?[^@\s\x00-\x1f]+", word):
            raise Mistake(f"{_shown(value)} is neither; {advice}")
        return word

    return Kind(read)


def mail_address() -> Kind:
    """A plain address that needs no quoting inside a DNS record; lower case."""
    return text(
        re.compile(rf"[a-z0-9][a-z0-9._+-]{{0,63}}@(?:{_LABEL}\.)+{_LABEL}"),
        'write an address such as "dmarc@example.com"',
        lower=True,
    )


def database_url() -> Kind:
    """An SQLite or PostgreSQL URL; the path of an SQLite file becomes absolute."""

    def read(value: Any, folder: Path) -> str:
        advice = 'write "sqlite:////folder/file.db" or "postgresql://user@host/name"'
        url = _a_text(value, advice)
        scheme, separator, rest = url.partition("://")
        # The value is not shown: it may hold a password.
        if not separator:
            raise Mistake(f"this is no database URL; {advice}")
        if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
            if not rest:
                raise Mistake(f"the URL names no database; {advice}")
            return url
        if scheme not in ("sqlite", "sqlite+pysqlite"):
            raise Mistake(f"{_shown(scheme)} is not supported; {advice}")
        if not rest.startswith("/") or rest in ("/", "/:memory:") or "?" in rest:
            raise Mistake(f"the URL names no file; {advice}")
        return f"sqlite:///{os_path(rest[1:], folder)}"

    return Kind(read)


def blob_store() -> Kind:
    """A folder, or `s3://bucket/prefix`."""

    def read(value: Any, folder: Path) -> str:
        advice = 'write a folder or "s3://bucket/prefix"'
        address = _a_text(value, advice)
        if address.startswith("s3://"):
            if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,62}(/\S*)?", address):
                raise Mistake(f"{_shown(value)} names no bucket; {advice}")
            return address
        if "://" in address and not address.startswith("file:///"):
            raise Mistake(f"{_shown(value)} is neither a folder nor S3; {advice}")
        return os_path(address.removeprefix("file://"), folder)

    return Kind(read)


def route() -> Kind:
    """How mail leaves. Only the form is checked here; it may hold a password and is never shown."""

    def read(value: Any, _: Path) -> str:
        advice = 'write "mx", "smtp://host:port", "smtps://host:port", "capture:" or "capture:/folder"'
        word = _a_text(value, advice).strip()
        after = r"(?:tls=required|spf=[^\s?#&]+)"
        form = rf"mx|(?:smtps?://[^\s/?#]+/?(?:\?{after}(?:&{after})?)?)|capture:(?:/[^\0]*)?|local:\S*"
        if not re.fullmatch(form, word):
            raise Mistake(f"this is no route; {advice}")
        return word

    return Kind(read)


def web_address() -> Kind:
    """A page's address, `https://…` or `http://…`."""
    return text(re.compile(r"https?://[!-~]{1,1000}"), 'write an address such as "https://example.com/plans"')


def _within(value: float, least: float, most: float, unit: str) -> float:
    if not least <= value <= most:
        bounds = f"{least:g} to {most:g}" if isinstance(least, float) else f"{least} to {most}"
        raise Mistake(f"{value:g} is out of range; write {bounds}{' ' + unit if unit else ''}")
    return value


def _a_text(value: Any, advice: str) -> str:
    if not isinstance(value, str):
        raise Mistake(f"{_shown(value)} is no text; {advice}")
    if not value.strip():
        raise Mistake(f"the value is empty; {advice}")
    return value


def _a_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    # One value may stand for a list of one.
    if isinstance(value, str | int):
        return [value]
    raise Mistake(f"{_shown(value)} is no list; write [ … ]")


def _list_from_text(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _number_from_text(value: str) -> object:
    return int(value) if re.fullmatch(r"-?\d{1,18}", value.strip(), re.ASCII) else value


def _one_of(allowed: tuple[str, ...]) -> str:
    return f"write {', '.join(allowed[:-1])} or {allowed[-1]}" if len(allowed) > 1 else f"write {allowed[0]}"


def _near(value: object, allowed: tuple[str, ...]) -> str:
    return did_you_mean(value, allowed) if isinstance(value, str) else ""


def _shown(value: object) -> str:
    """A value as an error may show it: quoted and short."""
    written = f'"{value}"' if isinstance(value, str) else repr(value)
    written = "".join(c if c.isprintable() else "?" for c in written)
    return written if len(written) <= 80 else f"{written[:77]}…"
