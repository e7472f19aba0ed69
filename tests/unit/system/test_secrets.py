"""The master key's file, and what is sealed under it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.system.secrets import KeyMark, MasterKey, SecretError, check_master_key

PLACE = {"tenant": "t1", "table": "dkim_key", "row": "k1", "column": "private"}
text = st.text(max_size=12)


def test_a_created_key_is_private_and_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    made = MasterKey.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = MasterKey.load(path)
    assert loaded.key_id == made.key_id
    assert loaded.subkey("dkim") == made.subkey("dkim") != made.subkey("route")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    MasterKey.create(path)
    before = path.read_bytes()
    with pytest.raises(SecretError, match="exists already"):
        MasterKey.create(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    MasterKey.create(path)
    path.chmod(mode)
    with pytest.raises(SecretError, match=f"chmod 600 {path}"):
        MasterKey.load(path)


def test_a_missing_key_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="gatepost master-key create"):
        MasterKey.load(tmp_path / "nowhere.key")


@pytest.mark.parametrize(
    "change", [lambda t: "", lambda t: "hello", lambda t: t[:-6], lambda t: t[:30] + "AAAA" + t[34:]]
)
def test_a_damaged_key_is_refused_and_not_shown(tmp_path: Path, change: object) -> None:
    path = tmp_path / "master.key"
    MasterKey.create(path)
    secret = path.read_text().split(":")[1].strip()
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(SecretError, match="holds no master key") as refusal:
        MasterKey.load(path)
    assert secret[:10] not in str(refusal.value)


@given(st.binary(max_size=200), text, text, text, text)
def test_what_is_sealed_opens_at_its_place(
    plaintext: bytes, tenant: str, table: str, row: str, column: str
) -> None:
    sealer = MasterKey((b"k" * 32,)).sealer("dkim")
    place = {"tenant": tenant, "table": table, "row": row, "column": column}
    assert sealer.open(sealer.seal(plaintext, **place), **place) == plaintext


@pytest.mark.parametrize("part", ["tenant", "table", "row", "column"])
def test_moved_to_another_place_it_does_not_open(part: str) -> None:
    sealer = MasterKey((b"k" * 32,)).sealer("dkim")
    sealed = sealer.seal(b"private", **PLACE)
    with pytest.raises(SecretError, match="changed or moved"):
        sealer.open(sealed, **{**PLACE, part: "other"})


def test_parts_of_a_place_cannot_flow_into_each_other() -> None:
    sealer = MasterKey((b"k" * 32,)).sealer("dkim")
    sealed = sealer.seal(b"private", tenant="ab", table="c", row="d", column="e")
    with pytest.raises(SecretError):
        sealer.open(sealed, tenant="a", table="bc", row="d", column="e")


@given(st.integers(0, 60), st.integers(1, 255))
def test_any_changed_octet_is_noticed(position: int, bits: int) -> None:
    sealer = MasterKey((b"k" * 32,)).sealer("dkim")
    sealed = bytearray(sealer.seal(b"a private key", **PLACE))
    sealed[position % len(sealed)] ^= bits
    with pytest.raises(SecretError):
        sealer.open(bytes(sealed), **PLACE)


@given(st.binary(max_size=80))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(SecretError):
        MasterKey((b"k" * 32,)).sealer("dkim").open(noise, **PLACE)


def test_purposes_do_not_open_each_others_values() -> None:
    key = MasterKey((b"k" * 32,))
    with pytest.raises(SecretError):
        key.sealer("route").open(key.sealer("dkim").seal(b"x", **PLACE), **PLACE)


def test_two_keys_live_while_rotating(tmp_path: Path) -> None:
    old = MasterKey.create(tmp_path / "master.key")
    running = old.sealer("dkim")
    sealed_before = running.seal(b"one", **PLACE)
    both = old.add_new()
    assert both.key_ids[1:] == old.key_ids
    sealed_after = both.sealer("dkim").seal(b"two", **PLACE)
    assert both.sealer("dkim").open(sealed_before, **PLACE) == b"one"
    assert not both.sealer("dkim").is_current(sealed_before)
    assert both.sealer("dkim").is_current(sealed_after)
    # A process that began before the rotation finds the new key in the file.
    assert running.open(sealed_after, **PLACE) == b"two"
    last = MasterKey.load(tmp_path / "master.key").without_old()
    assert last.key_ids == both.key_ids[:1]
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SecretError, match="does not have"):
        last.sealer("dkim").open(sealed_before, **PLACE)


def test_the_wrong_key_is_refused_with_a_sentence() -> None:
    right, wrong = MasterKey((b"k" * 32,)), MasterKey((b"w" * 32,))
    marks = (KeyMark(right.key_id, right.check_value(right.key_id)),)
    check_master_key(right, marks)
    check_master_key(wrong, ())
    with pytest.raises(SecretError, match="is not this installation's master key"):
        check_master_key(wrong, marks)
    with pytest.raises(SecretError, match="another key"):
        check_master_key(right, (KeyMark(right.key_id, "00" * 16),))
