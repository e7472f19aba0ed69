"""Which addresses are of the Internet, and which of networks that strangers are kept out of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.system.addresses import is_public

PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2a00:1450:4001::1"]
CLOSED = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.8.8.8", "168.63.129.16",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.9",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%1", "2606:4700::1111%lo", "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", CLOSED)
def test_addresses_of_networks_behind_us_are_closed(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
def test_nothing_that_the_standard_library_calls_private_is_open(address: object) -> None:
    if not address.is_global or address.is_multicast:  # type: ignore[attr-defined]
        # 192.0.0.9, .10 and a few IPv6 blocks are "global" in one version of Python and not in another.
        assert not is_public(str(address))
