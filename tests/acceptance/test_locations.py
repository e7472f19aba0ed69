"""What one location stores, no other does: subjects, bodies, addresses, refusals, sign-ins."""

import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.gateway import Gateway, plain_message, submit, wait_until

LARGE = 150_000


class Resident(NamedTuple):
    """An account and everything by which its data can be found."""

    address: str
    location: str
    words: tuple[bytes, ...]
    ids: tuple[str, ...]


@pytest.fixture(scope="module")
def two_locations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("locations") / "var"
    second = f'\n[locations.second]\nurl = "sqlite:///{folder}/second.db"\nblobs = "{folder}/second-blobs"\n'
    gateway = Gateway(folder, settings=second).start()
    gateway.cli("workspace", "create", "elsewhere", "--tenant", gateway.tenant_id, "--location", "second")
    yield gateway
    assert gateway.stop() == 0


def files_of(gateway: Gateway, location: str) -> dict[str, bytes]:
    """Every file of a location."""
    name, blobs = {"default": ("location.db", "blobs"), "second": ("second.db", "second-blobs")}[location]
    paths = [*gateway.folder.glob(f"{name}*"), *Path(gateway.folder, blobs).rglob("*")]
    return {str(path.relative_to(gateway.folder)): path.read_bytes() for path in paths if path.is_file()}


def use(gateway: Gateway, name: str, location: str, *workspace: str) -> Resident:
    """Let a new account log in, fail to, send and be refused, with words that stand nowhere else."""
    address = f"{name}-user@{gateway.state['domain']}"
    gateway.cli("account", "create", address, "--tenant", gateway.tenant_id, "--smtp", *workspace)
    password = gateway.cli("app-password", "create", address)["app_password"]
    with pytest.raises(smtplib.SMTPAuthenticationError), gateway.smtp(address, "gp_Wrong" + "0" * 30):
        pass
    ids = []
    with gateway.smtp(address, password) as client:
        for size in (10, LARGE):
            body = f"{name}-body " + "\r\n".join("x" * 70 for _ in range(size // 72))
            content = plain_message(address, f"{name}-to@example.org", f"{name}-subject", body)
            ids.append(submit(client, content, (f"{name}-rcpt@example.org",), address))
        with pytest.raises(smtplib.SMTPResponseException):
            foreign = plain_message(f"{name}-foreign@example.net")
            submit(client, foreign, (f"{name}-refused@example.org",), address)
    words = ("user", "body", "to", "subject", "rcpt", "foreign", "refused")
    return Resident(address, location, tuple(f"{name}-{word}".encode() for word in words), tuple(ids))


def test_no_octet_of_one_location_is_in_the_other(two_locations: Gateway) -> None:
    gateway = two_locations
    gateway.cli("shard", "pause", gateway.state["shard"])
    gateway.obeyed()
    residents = (
        use(gateway, "alpha", "default"),
        use(gateway, "bravo", "second", "--workspace", "elsewhere"),
    )
    for resident in residents:
        wait_until(lambda r=resident: len(outcomes(gateway, r)) == 2, what="both sign-ins")
        wait_until(
            lambda r=resident: gateway.cli("refused", "list", "--account", r.address), what="a refusal"
        )
    check_apart(gateway, residents)
    gateway.cli("shard", "resume", gateway.state["shard"])
    for message_id in (*residents[0].ids, *residents[1].ids):
        gateway.captured(message_id)
    wait_until(lambda: not gateway.cli("queue", "list"), what="an empty queue")
    check_apart(gateway, residents, blobs=False)
    for resident in residents:
        views = [gateway.cli("queue", "show", message_id) for message_id in resident.ids]
        assert {view["location"] for view in views} == {resident.location}


def outcomes(gateway: Gateway, resident: Resident) -> set[str]:
    """What became of the account's sign-ins."""
    return {row["outcome"] for row in gateway.cli("account", "logins", resident.address)}


def check_apart(gateway: Gateway, residents: tuple[Resident, Resident], *, blobs: bool = True) -> None:
    """Each one's words stand in files of its own location, and in none of the other's."""
    for own, other in (residents, residents[::-1]):
        files = files_of(gateway, own.location)
        everything = b"".join(files.values())
        ids = [message_id.encode() for message_id in own.ids]
        missing = [word for word in (*own.words, *ids) if word not in everything]
        assert missing == []
        assert any("blobs" in name for name in files) is blobs
        foreign = [*other.words, *(message_id.encode() for message_id in other.ids)]
        assert [(name, word) for name, data in files.items() for word in foreign if word in data] == []
        assert [name for name in files for message_id in other.ids if message_id in name] == []
