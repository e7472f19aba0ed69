"""What an app password may be made with: scopes, label, expiry, networks, stream. Pure rules."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.control.credentials.format import chosen_password_faults
from gateway.control.errors import Conflict, Invalid
from gateway.control.lookup import clean_moment

SCOPES = ("smtp", "imap")
MOST_AN_ACCOUNT = 50
MOST_CHOSEN_AN_ACCOUNT = 4
LONGEST_LABEL = 100
MOST_NETWORKS = 20

_STREAM = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Terms:
    """The checked and normal form of what was asked for.

    `expires_at`: seconds since 1970; `networks`: CIDR, empty for anywhere.
    """

    scopes: frozenset[str]
    label: str | None = None
    expires_at: float | None = None
    networks: tuple[str, ...] = ()
    stream: str | None = None


def checked_terms(
    *,
    address: str,
    on: frozenset[str],
    scopes: Iterable[str],
    label: str | None,
    expires_at: float | None,
    networks: Iterable[str],
    stream: str | None,
    now: float,
) -> Terms:
    """The terms of a new app password of the account `address`, whose switched-on protocols are `on`.

    Raises Invalid or Conflict, saying what to change.
    """
    return Terms(
        scopes=_scopes(address, on, frozenset(scopes)),
        label=clean_label(label),
        expires_at=clean_expiry(expires_at, now),
        networks=clean_networks(networks),
        stream=_stream(stream),
    )


def check_chosen(text: str) -> None:
    """Raises Invalid, naming each fault, if a password that the caller chose may not be used."""
    faults = chosen_password_faults(text)
    if faults:
        raise Invalid(
            "chosen-password-refused",
            "The chosen app password cannot be used: " + "; ".join(faults) + ".",
            "Choose another, or leave it out and one is made.",
        )


def check_room(address: str, live: int, live_chosen: int, *, chosen: bool) -> None:
    """Raises Conflict if the account has as many app passwords as it may have."""
    if live >= MOST_AN_ACCOUNT:
        raise Conflict(
            "too-many-app-passwords",
            f"{address} has {live} app passwords, and {MOST_AN_ACCOUNT} is the most.",
            "Revoke one that is no longer used: `gatepost app-password list` shows when each was used last.",
        )
    if chosen and live_chosen >= MOST_CHOSEN_AN_ACCOUNT:
        raise Conflict(
            "too-many-chosen-app-passwords",
            f"{address} has {live_chosen} chosen app passwords, and {MOST_CHOSEN_AN_ACCOUNT} is the most.",
            "Revoke one of them, or leave the password out and one is made.",
        )


def _scopes(address: str, on: frozenset[str], asked: frozenset[str]) -> frozenset[str]:
    unknown = asked - set(SCOPES)
    if unknown:
        raise Invalid(
            "unknown-scope",
            f"There is no scope {', '.join(repr(scope) for scope in sorted(unknown))}.",
            "Use smtp, imap or both.",
        )
    if asked:
        return asked
    if not on:
        raise Conflict(
            "no-protocol-on",
            f"No protocol is switched on for {address}, so an app password without scopes has none.",
            f"Switch one on first (`gatepost account update {address} --smtp`), or name the scopes.",
        )
    return on


def clean_label(label: str | None) -> str | None:
    """What a credential is called; None for nothing. Raises Invalid."""
    if label is None or not label.strip():
        return None
    text = label.strip()
    if len(text) > LONGEST_LABEL or not text.isprintable():
        raise Invalid(
            "label-refused",
            f"The label has {len(text)} characters or some that cannot be printed.",
            f"Use at most {LONGEST_LABEL} printable characters on one line.",
        )
    return text


_LATER = "Give a later time, or none for a credential that does not expire."


def clean_expiry(expires_at: float | None, now: float, fix: str = _LATER) -> float | None:
    """When something ends, a credential unless `fix` says else, if ever: in the future. Raises Invalid."""
    if expires_at is None:
        return None
    if not now < expires_at:
        raise Invalid("expiry-passed", "The expiry is not in the future.", fix)
    return clean_moment(expires_at)


def clean_networks(networks: Iterable[str]) -> tuple[str, ...]:
    """Networks in CIDR, each once. Raises Invalid."""
    normal: list[str] = []
    for text in networks:
        try:
            normal.append(str(ipaddress.ip_network(text.strip())))
        except ValueError as error:
            raise Invalid(
                "network-refused",
                f"{text!r} is no network: {error}.",
                "Write networks like 192.0.2.0/24 or 2001:db8::/32, single addresses without a slash.",
            ) from error
    if len(normal) > MOST_NETWORKS:
        raise Invalid(
            "too-many-networks",
            f"{len(normal)} networks were given, and {MOST_NETWORKS} is the most.",
            "Join neighbouring networks into larger ones.",
        )
    return tuple(dict.fromkeys(normal))


def _stream(stream: str | None) -> str | None:
    if stream is not None and not _STREAM.fullmatch(stream):
        raise Invalid(
            "stream-refused",
            f"{stream!r} is no name of a stream.",
            "Use lower-case letters, digits, - and _, at most 63, like transactional.",
        )
    return stream
