"""Which IP addresses are public: where strangers may have this program connect to."""

from __future__ import annotations

import ipaddress

# IANA's special-purpose registries (RFC 6890 and its successors), multicast, and one metadata service
# that a cloud put at an address of its public range.
_CLOSED_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
    )
)  # fmt: skip
# Everything in use lies here; loopback, link-local, unique local, multicast, and the forms that hold an
# IPv4 address (mapped, translated by RFC 6052) lie outside.
_OPEN_V6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the Internet, and none of this machine or of a network behind it.

    Raises ValueError for what is no address.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _CLOSED_V4)
    # One with a zone names an interface of this machine, whatever the rest says.
    is_open = parsed in _OPEN_V6 and parsed.scope_id is None
    return is_open and not any(parsed in network for network in _CLOSED_V6)
