"""Sizes and durations: read, refused, shown again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.policies.quantities import parse_duration, parse_size, shown_duration, shown_size


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("25 MiB", 25 * 2**20),
        ("25MiB", 25 * 2**20),
        ("1 GB", 10**9),
        ("1.5 KiB", 1536),
        ("0 B", 0),
        ("0.1 kB", 100),
    ],
)
def test_sizes(text: str, octets: int) -> None:
    """With and without a space, binary and decimal."""
    assert parse_size(text) == octets


@pytest.mark.parametrize("text", ["", "25", "MiB", "-1 MiB", "25 MX", "25  MiB", "1e3 B", "٣ MiB", "25 mib"])
def test_no_sizes(text: str) -> None:
    """A unit is needed, and one we know."""
    with pytest.raises(ValueError, match="no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3d", 259_200), ("8h", 28_800), ("1d12h", 129_600), ("2w", 1_209_600), ("90m", 5_400)],
)
def test_durations(text: str, seconds: int) -> None:
    """One unit or several."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "3", "d", "3 d", "-3d", "3y", "1.5h", "3D"])
def test_no_durations(text: str) -> None:
    """A whole number and a unit, each time."""
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@given(st.integers(0, 10**14), st.integers(0, 10**8))
def test_shown_and_read_again(octets: int, seconds: int) -> None:
    """What is shown means the same."""
    assert parse_size(shown_size(octets)) == octets
    assert parse_duration(shown_duration(seconds)) == seconds
