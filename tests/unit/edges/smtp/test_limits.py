"""Which connections count as one client's."""

from __future__ import annotations

import pytest

from gateway.edges.smtp.limits import address_group


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("@socket", "@socket"),
    ],
)
def test_address_group(address: str, group: str) -> None:
    assert address_group(address) == group
