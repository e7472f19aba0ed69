"""OpenDKIM and Perl's Mail::DKIM accept our signatures over real and awkward messages."""

import re
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_first_message import split_capture
from tests.support.dns import NameServer, txt
from tests.support.gateway import Gateway, submit

CORPUS = Path("/usr/lib/python3.11/test/test_email/data")

PERL = r"""
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS;
my $port = shift @ARGV;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $port, recurse => 1));
for my $file (@ARGV) {
    my $verifier = Mail::DKIM::Verifier->new();
    open(my $in, '<:raw', $file); local $/; $verifier->PRINT(<$in>); $verifier->CLOSE;
    print $file, "\t", join(",", map { $_->result . " " . $_->algorithm } $verifier->signatures), "\n";
}
"""


def with_own_from(content: bytes, address: str) -> bytes:
    """A message of the corpus as our account would send it: one From of its own, no other author fields."""
    content = re.sub(rb"\r?\n|\r", b"\r\n", content)
    if content.startswith(b"From "):
        content = content.partition(b"\r\n")[2]
    header, _, body = content.partition(b"\r\n\r\n")
    header = re.sub(
        rb"(?ims)^(from|sender|resent-from|resent-sender)[ \t]*:.*?\r\n(?![ \t])", b"", header + b"\r\n"
    )
    return f"From: {address}\r\n".encode() + header + b"\r\n" + body


@pytest.fixture(scope="module")
def messages(gateway: Gateway, require_peer: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every message of the corpus that the gateway accepts, as it left; at most a few are refused."""
    require_peer("email-corpus")
    folder = tmp_path_factory.mktemp("left")
    left, refused = [], []
    with gateway.smtp() as client:
        for source in sorted(CORPUS.glob("*.txt")):
            try:
                content = with_own_from(source.read_bytes(), gateway.address)
                message_id = submit(client, content, ("x@example.org",), gateway.address)
            except smtplib.SMTPResponseException as refusal:
                assert 500 <= refusal.smtp_code < 600
                refused.append((source.name, refusal.smtp_error))
                continue
            path = folder / source.name.replace(",", "_")
            path.write_bytes(split_capture(gateway.captured(message_id))[1])
            left.append(path)
    assert len(left) >= 40, refused
    return left


@pytest.fixture(scope="module")
def name_server(gateway: Gateway) -> Iterator[NameServer]:
    """The demo domain's keys in a real DNS."""
    records = {
        (row["name"].rstrip("."), "TXT"): [txt(row["value"])]
        for row in gateway.cli("domain", "records", gateway.state["domain"])
        if row["purpose"] == "dkim" and row["type"] == "TXT"
    }
    assert records
    server = NameServer(records)
    yield server
    server.close()


def test_opendkim_verifies(
    messages: list[Path], name_server: NameServer, gateway: Gateway, tmp_path: Path, require_peer: Any
) -> None:
    require_peer("opendkim")
    resolver, config = tmp_path / "unbound.conf", tmp_path / "opendkim.conf"
    resolver.write_text(
        'server:\n  do-not-query-localhost: no\n  module-config: "iterator"\n  local-zone: "test." nodefault\n'
        f'stub-zone:\n  name: "{gateway.state["domain"]}"\n  stub-addr: 127.0.0.1@{name_server.port}\n'
    )
    config.write_text(f"Mode v\nSyslog no\nResolverConfiguration {resolver}\n")
    for path in messages:
        result = subprocess.run(
            ["opendkim", "-x", str(config), "-vv", "-t", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        output = result.stdout + result.stderr
        assert "dkim=pass" in output, (path.name, output)
        assert "dkim=fail" not in output, (path.name, output)


def test_perls_mail_dkim_verifies(messages: list[Path], name_server: NameServer, require_peer: Any) -> None:
    require_peer("mail-dkim")
    result = subprocess.run(
        ["perl", "-e", PERL, str(name_server.port), *map(str, messages)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert len(lines) == len(messages)
    for name, results in lines:
        # It does not know Ed25519 (RFC 8463); the RSA signature is the one to judge.
        assert "pass rsa-sha256" in results.split(","), (name, results)
