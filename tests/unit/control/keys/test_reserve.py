"""Keys made ahead are given out once each, and never more than were asked to lie ready."""

from __future__ import annotations

import itertools
import threading

from gateway.control.keys.material import KeyMaterial
from gateway.control.keys.reserve import KeyReserve
from gateway.control.records import KeyAlgorithm
from tests.support.gateway import wait_until


class Maker:
    """Numbers its keys and notes which thread made them."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.made: list[tuple[str, int, str]] = []

    def __call__(self, algorithm: KeyAlgorithm, bits: int) -> KeyMaterial:
        self.made.append((algorithm, bits, threading.current_thread().name))
        return KeyMaterial(algorithm, bits, b"", str(next(self._numbers)))


def test_what_lies_ready_is_given_out_once_and_made_again() -> None:
    maker = Maker()
    reserve = KeyReserve(maker, size=3)
    reserve.start()
    wait_until(lambda: len(maker.made) == 3)
    taken = [reserve("rsa-sha256", 2048) for _ in range(10)]
    assert len({key.public_key for key in taken}) == 10
    wait_until(lambda: len(maker.made) == 13)
    reserve.stop()
    assert {"key-reserve"} <= {thread for _, _, thread in maker.made}


def test_an_empty_reserve_makes_the_key_at_once() -> None:
    maker = Maker()
    assert KeyReserve(maker)("rsa-sha256", 2048).public_key == "0"
    assert maker.made == [("rsa-sha256", 2048, threading.current_thread().name)]


def test_unusual_keys_are_made_as_they_are_asked_for() -> None:
    maker = Maker()
    reserve = KeyReserve(maker, size=1)
    reserve.start()
    wait_until(lambda: maker.made)
    assert reserve("rsa-sha256", 4096).bits == 4096
    assert reserve("ed25519-sha256", 256).algorithm == "ed25519-sha256"
    reserve.stop()
    assert [made[:2] for made in maker.made] == [
        ("rsa-sha256", 2048),
        ("rsa-sha256", 4096),
        ("ed25519-sha256", 256),
    ]
