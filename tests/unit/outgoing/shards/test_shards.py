"""The shard of a recipient: preferences, shares, stability; and the return path it then has."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.records import ShardRecord
from gateway.outgoing.shards import Organisations, ReturnPaths, choose_shard
from gateway.system.clock import ManualClock
from gateway.system.ids import IdSource

ORGANISATIONS = Organisations(["trial.example.net"])


def shard(name: str, weight: int = 1, streams: tuple[str, ...] = (), state: str = "active") -> ShardRecord:
    return ShardRecord(
        id=f"id-{name}",
        name=name,
        tenant_id="t",
        environment="production",
        route="mx",
        weight=weight,
        streams=frozenset(streams),
        state=state,
        source=None,
        sign=False,
        created_at=0.0,
    )


def choose(
    shards: list[ShardRecord],
    to: str = "dest.example",
    sender: str = "acme.com",
    stream: str = "",
    own_only: bool = False,
) -> str | None:
    found = choose_shard(
        shards,
        from_domain=sender,
        stream=stream,
        recipient_domain=to,
        organisational_domain=ORGANISATIONS.domain,
        own_only=own_only,
    )
    return found.name if found else None


def test_none_without_shards() -> None:
    assert choose([]) is None
    assert choose([shard("s1.mail.acme.com", state="retired")]) is None


def test_the_froms_own_organisation_goes_first() -> None:
    shards = [shard("s1.other.org"), shard("s1.mail.acme.com")]
    assert {choose(shards, to=f"d{n}.example") for n in range(40)} == {"s1.mail.acme.com"}
    assert {choose(shards, to=f"d{n}.example", sender="third.net") for n in range(40)} == {
        s.name for s in shards
    }


def test_a_trial_name_uses_shards_of_its_own_and_no_others() -> None:
    shards = [shard("mail.acme.com"), shard("mail.acme.trial.example.net")]
    trial = "acme.trial.example.net"
    assert choose(shards, sender=trial, own_only=True) == "mail.acme.trial.example.net"
    assert choose(shards[:1], sender=trial, own_only=True) is None


def test_a_named_stream_goes_before_open_shards_and_others_avoid_it() -> None:
    shards = [shard("a.acme.com", streams=("marketing",)), shard("b.acme.com")]
    assert {choose(shards, to=f"d{n}.x", stream="marketing") for n in range(40)} == {"a.acme.com"}
    assert {choose(shards, to=f"d{n}.x", stream="transactional") for n in range(40)} == {"b.acme.com"}


def test_a_paused_shard_keeps_its_share() -> None:
    shards = [shard(f"s{n}.acme.com") for n in range(4)]
    paused = [replace(s, state="paused") if s.name == "s2.acme.com" else s for s in shards]
    domains = [f"d{n}.example" for n in range(200)]
    assert [choose(shards, d) for d in domains] == [choose(paused, d) for d in domains]


def test_a_new_shard_takes_only_its_share() -> None:
    before = [shard(f"s{n}.acme.com") for n in range(4)]
    after = [*before, shard("new.acme.com")]
    domains = [f"d{n}.example" for n in range(2000)]
    moved = [(choose(before, d), choose(after, d)) for d in domains]
    changed = [new for old, new in moved if old != new]
    assert set(changed) == {"new.acme.com"}
    assert 300 < len(changed) < 500


def test_shares_follow_weights() -> None:
    shards = [shard("a.acme.com", weight=3), shard("b.acme.com", weight=1), shard("c.acme.com", weight=0)]
    counts = Counter(choose(shards, f"d{n}.example") for n in range(4000))
    assert counts["c.acme.com"] == 0
    assert 2.5 < counts["a.acme.com"] / counts["b.acme.com"] < 3.6


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s1.mail.acme.com", "acme.com"),
        ("acme.co.uk", "acme.co.uk"),
        ("a.b.acme.co.uk", "acme.co.uk"),
        ("s1.mail.acme.trial.example.net", "acme.trial.example.net"),
        ("trial.example.net", "example.net"),
        ("com", "com"),
    ],
)
def test_organisational_domains(name: str, expected: str) -> None:
    assert ORGANISATIONS.domain(name) == expected


PATHS = ReturnPaths({1: b"k" * 32, 2: b"l" * 32}, current=2)
IDS = IdSource(ManualClock())


def test_a_return_path_names_its_message() -> None:
    message_id = IDS.message_id()
    address = PATHS.address(message_id, "s1.mail.acme.com")
    assert PATHS.verify(address) == message_id
    assert PATHS.verify(address.upper()) == message_id
    assert len(address.partition("@")[0]) <= 50


def test_a_return_path_of_the_older_key_still_verifies() -> None:
    message_id = IDS.message_id()
    old = ReturnPaths({1: b"k" * 32}, current=1).address(message_id, "s1.mail.acme.com")
    assert PATHS.verify(old) == message_id
    assert ReturnPaths({2: b"l" * 32}, current=2).verify(old) is None


def test_a_return_path_belongs_to_one_shard() -> None:
    local = PATHS.address(IDS.message_id(), "s1.mail.acme.com").partition("@")[0]
    assert PATHS.verify(f"{local}@s1.mail.other.com") is None


@given(st.integers(0, 44), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_changed_token_never_verifies_as_another_message(position: int, letter: str) -> None:
    message_id = IDS.message_id()
    address = PATHS.address(message_id, "s1.mail.acme.com")
    changed = address[:position] + letter + address[position + 1 :]
    # The last character has one bit that says nothing.
    allowed = (message_id, None) if position == 44 else (None,)
    assert PATHS.verify(changed) in ((message_id,) if changed == address else allowed)


@given(st.text(max_size=80))
def test_rubbish_is_nobodys_return_path(text: str) -> None:
    assert PATHS.verify(text) is None
