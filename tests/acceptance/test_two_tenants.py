"""What belongs to one tenant no other touches: every way to send as the other is tried and refused."""

import smtplib
from typing import NamedTuple

import pytest

from tests.support.gateway import CliError, Gateway, submit


class Sender(NamedTuple):
    """One tenant's account, with its password."""

    tenant: str
    domain: str
    address: str
    password: str


@pytest.fixture(scope="module")
def pair(gateway: Gateway) -> tuple[Sender, Sender]:
    """Two tenants with an account each."""

    def make(name: str) -> Sender:
        tenant = gateway.cli("tenant", "create", name)["id"]
        domain = next(d["name"] for d in gateway.cli("domain", "list") if d["tenant_id"] == tenant)
        address = f"user@{domain}"
        gateway.cli("account", "create", address, "--tenant", tenant, "--smtp")
        password = gateway.cli("app-password", "create", address)["app_password"]
        return Sender(tenant, domain, address, password)

    return make("Mallory"), make("Victim")


def attempt(gateway: Gateway, who: Sender, sender: str, header: bytes) -> tuple[int, str]:
    """The reply to one submission by `who`; 250 if it was accepted."""
    with gateway.smtp(who.address, who.password) as client:
        try:
            submit(client, header + b"\r\nhello\r\n", ("x@example.org",), sender)
        except smtplib.SMTPResponseException as refusal:
            return refusal.smtp_code, refusal.smtp_error.decode()
    return 250, ""


def header_tricks(own: str, other: str) -> dict[str, bytes]:
    """Header blocks that try to show `other` as the author."""
    name, domain = other.split("@")
    return {
        "From": f"From: {other}\r\n".encode(),
        "From in another case": f"FROM: {other.upper()}\r\n".encode(),
        "name-addr": f"From: Boss <{other}>\r\n".encode(),
        "second From": f"From: {own}\r\nFrom: {other}\r\n".encode(),
        "second From first": f"From: {other}\r\nFrom: {own}\r\n".encode(),
        "two addresses": f"From: {own}, {other}\r\nSender: {own}\r\n".encode(),
        "two addresses without comma": f"From: <{own}> <{other}>\r\n".encode(),
        "group": f"From: All: {other};\r\n".encode(),
        "comment": f"From: {own} ({other})\r\n".encode(),
        "comment in address": f"From: {name}(x)@{domain}\r\n".encode(),
        "nested comment": f"From: (a (b) <{own}>) {other}\r\n".encode(),
        "quoted local": f'From: "{name}"@{domain}\r\n'.encode(),
        "source route": f"From: <@{own.split('@')[1]}:{other}>\r\n".encode(),
        "folded": f"From:\r\n {other}\r\n".encode(),
        "space before colon": f"From: {own}\r\nFrom : {other}\r\n".encode(),
        "tab before colon": f"From: {own}\r\nFrom\t: {other}\r\n".encode(),
        "bare CR": f"From: {own}\r\nX: y\rFrom: {other}\r\n".encode(),
        "bare LF": f"From: {own}\r\nX: y\nFrom: {other}\r\n".encode(),
        "NUL": f"From: {own}\x00\r\nFrom\x00: {other}\r\n".encode(),
        "Sender": f"From: {own}\r\nSender: {other}\r\n".encode(),
        "Resent-From": f"From: {own}\r\nResent-From: {other}\r\n".encode(),
        "Resent-Sender": f"From: {own}\r\nResent-From: {own}\r\nResent-Sender: {other}\r\n".encode(),
        "encoded address": f"From: =?utf-8?q?{name}=40{domain}?=\r\n".encode(),
        "no From": b"Subject: x\r\n",
        "empty From": b"From: \r\n",
        "sub-domain": f"From: {name}@sub.{domain}\r\n".encode(),
        "trailing dot": f"From: {other}.\r\n".encode(),
        "unbalanced": f"From: {own} <{other}\r\n".encode(),
        "percent hack": f"From: {name}%{domain}@{domain}\r\n".encode(),
    }


TRICKS = sorted(header_tricks("a@b", "c@d"))


@pytest.mark.parametrize("trick", TRICKS)
def test_a_header_that_shows_the_other_is_refused(
    gateway: Gateway, pair: tuple[Sender, Sender], trick: str
) -> None:
    mallory, victim = pair
    header = header_tricks(mallory.address, victim.address)[trick]
    code, text = attempt(gateway, mallory, mallory.address, header)
    assert code == 550, text


@pytest.mark.parametrize(
    "form", ["{o}", "<{o}>", "{O}", "@x:{o}", '"user"@{d}', "user+x@{d}", "postmaster@{d}"]
)
def test_a_foreign_reverse_path_is_refused(gateway: Gateway, pair: tuple[Sender, Sender], form: str) -> None:
    mallory, victim = pair
    sender = form.format(o=victim.address, O=victim.address.upper(), d=victim.domain)
    code, text = attempt(gateway, mallory, sender, f"From: {mallory.address}\r\n".encode())
    assert code in (550, 501, 553), text


def test_a_null_reverse_path_needs_a_from_of_its_own(gateway: Gateway, pair: tuple[Sender, Sender]) -> None:
    mallory, victim = pair
    assert attempt(gateway, mallory, "", f"From: {victim.address}\r\n".encode())[0] == 550
    assert attempt(gateway, mallory, "", f"From: {mallory.address}\r\n".encode())[0] == 250


def test_ones_own_address_in_any_case_is_accepted(gateway: Gateway, pair: tuple[Sender, Sender]) -> None:
    mallory, _ = pair
    assert (
        attempt(
            gateway, mallory, mallory.address.upper(), f"From: X <{mallory.address.upper()}>\r\n".encode()
        )[0]
        == 250
    )


def test_ones_password_does_not_open_the_others_account(
    gateway: Gateway, pair: tuple[Sender, Sender]
) -> None:
    mallory, victim = pair
    with pytest.raises(smtplib.SMTPAuthenticationError), gateway.smtp(victim.address, mallory.password):
        pass


def test_an_unknown_login_and_a_wrong_password_sound_alike(
    gateway: Gateway, pair: tuple[Sender, Sender]
) -> None:
    _, victim = pair
    replies = []
    for login in (victim.address, f"nobody@{victim.domain}"):
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            with gateway.smtp(login, "gp_wrong-Password-123456789"):
                pass
        replies.append((caught.value.smtp_code, caught.value.smtp_error))
    assert replies[0] == replies[1]
    assert replies[0][0] == 535


def test_the_others_domain_cannot_be_used_for_an_account(
    gateway: Gateway, pair: tuple[Sender, Sender]
) -> None:
    mallory, victim = pair
    with pytest.raises(CliError):
        gateway.cli("account", "create", f"evil@{victim.domain}", "--tenant", mallory.tenant)
    with pytest.raises(CliError):
        gateway.cli("account", "alias", "add", mallory.address, f"evil@{victim.domain}")
    with pytest.raises(CliError):
        gateway.cli("shard", "create", f"s9.mail.{victim.domain}", "--tenant", mallory.tenant)
