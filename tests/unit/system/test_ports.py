"""Addresses: checked all at once, opened side by side."""

import os
import socket

import pytest

from gateway.system.config import Endpoint
from gateway.system.ports import PortError, check_free, listen, port_holder
from tests.support.gateway import free_port


def test_every_busy_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [one.getsockname()[1], other.getsockname()[1]]
        with pytest.raises(PortError) as caught:
            check_free([Endpoint(f"127.0.0.1:{port}") for port in [*ports, free_port()]])
    for port in ports:
        assert f"127.0.0.1:{port} is in use by process {os.getpid()}" in caught.value.detail
    assert caught.value.fix.count("choose another port") == 1


def test_one_that_shares_its_port_counts_as_busy() -> None:
    endpoint = Endpoint(f"127.0.0.1:{free_port()}")
    with listen(endpoint), pytest.raises(PortError):
        check_free([endpoint])


def test_ours_stand_side_by_side() -> None:
    endpoint = Endpoint(f"127.0.0.1:{free_port()}")
    with listen(endpoint) as one, listen(endpoint) as other:
        assert one.getsockname() == other.getsockname()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(PortError, match="not an address of this machine"):
        check_free([Endpoint("192.0.2.1:2525")])


def test_a_port_that_nobody_holds() -> None:
    assert port_holder(free_port()) == "another process"
