"""When a login may be tried: the rules against guessing, on counts alone.

Pure: `GuessTable` counts, this says what the counts mean.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

SHORTEST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 15.0
TRUSTED_SECONDS = 86_400
REMEMBERED_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window cut into slices: a slice is forgotten as a whole, never too early.

    What happened in the last `seconds` is counted always; what is older than `seconds` plus one slice never.
    """

    seconds: int
    slices: int

    @property
    def slice_seconds(self) -> int:
        """How long one slice lasts."""
        return self.seconds // self.slices

    @property
    def kept(self) -> int:
        """Slices to keep: those of the window and the one that is being filled."""
        return self.slices + 1


SHORT = Window(120, 12)
MINUTE = Window(60, 12)
DAY = Window(86_400, 24)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """So many wrong passwords in a window; the first `free` of them bring no delay."""

    name: str
    window: Window
    most: int
    free: int


PAIR = Ceiling("login-and-address", SHORT, 12, 3)
ADDRESS_MINUTE = Ceiling("address-minute", MINUTE, 10, 5)
ADDRESS_DAY = Ceiling("address-day", DAY, 50, 40)
NETWORK_MINUTE = Ceiling("network-minute", MINUTE, 30, 20)
NETWORK_DAY = Ceiling("network-day", DAY, 150, 130)
# Over all addresses a login is slowed down and never locked: else anyone could lock anyone out.
LOGIN_FREE = 12


@dataclass(frozen=True, slots=True)
class Counts:
    """Wrong passwords so far, each in its own window. `trusted`: this address lately got in as this login."""

    pair: int = 0
    address_minute: int = 0
    address_day: int = 0
    network_minute: int = 0
    network_day: int = 0
    login: int = 0
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class GuessVerdict:
    """May the password be looked at (`denied`: 454 and no), and how long to wait before answering one.

    `rule` names the ceiling that denies, or is empty.
    """

    denied: bool
    delay_seconds: float
    rule: str = ""


FREE = GuessVerdict(False, 0.0)


def judge(counts: Counts) -> GuessVerdict:
    """The verdict on one attempt, before its password is looked at.

    A trusted address answers for its own failures at this login alone: neither its neighbours' failures nor
    an attack on the login from elsewhere touch it.
    """
    against = [(PAIR, counts.pair)]
    if not counts.trusted:
        against += [
            (ADDRESS_MINUTE, counts.address_minute),
            (ADDRESS_DAY, counts.address_day),
            (NETWORK_MINUTE, counts.network_minute),
            (NETWORK_DAY, counts.network_day),
        ]
    for ceiling, count in against:
        if count >= ceiling.most:
            return GuessVerdict(True, LONGEST_DELAY_SECONDS, ceiling.name)
    steps = max(count - ceiling.free for ceiling, count in against)
    if not counts.trusted:
        steps = max(steps, counts.login - LOGIN_FREE)
    return GuessVerdict(False, penalty_seconds(steps))


def penalty_seconds(steps: int) -> float:
    """2, 4, 8, then 15 s: what each failure past the free ones costs."""
    if steps <= 0:
        return 0.0
    return min(LONGEST_DELAY_SECONDS, SHORTEST_DELAY_SECONDS * 2.0 ** min(steps - 1, 8))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an attempt comes from: the address that is counted, and the network around it."""

    address: bytes
    network: bytes


def origin_of(address: str) -> Origin:
    """An IPv4 address and its /24; of an IPv6 address its /64 and its /48.

    IPv4-mapped IPv6 counts as IPv4 (RFC 4291 §2.5.5.2). What is no address (a Unix socket) stands for itself.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        other = b"?" + address.encode("utf-8", "surrogateescape")
        return Origin(other, other)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    packed = (mapped or parsed).packed
    if len(packed) == 4:
        return Origin(packed, packed[:3])
    return Origin(packed[:8], packed[:6])
