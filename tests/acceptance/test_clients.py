"""Real clients submit over 587 and 465 as their users configure them."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_first_message import split_capture
from tests.support.gateway import Gateway, plain_message


def run(command: list[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=content, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_curl(gateway: Gateway, require_peer: Any, port: str) -> None:
    require_peer("curl")
    number = gateway.state[port]["port"]
    scheme = "smtp" if port == "submission" else "smtps"
    upload = gateway.folder / "curl.eml"
    upload.write_bytes(plain_message(gateway.address, subject=f"curl {port}"))
    result = run(
        [
            "curl", "-sS", "-v", "--ssl-reqd", "--cacert", gateway.state["ca_file"], f"{scheme}://localhost:{number}",
            "--user", f"{gateway.address}:{gateway.password}", "--mail-from", gateway.address,
            "--mail-rcpt", "x@example.org", "--upload-file", str(upload),
        ],
        b"",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert f"curl {port}".encode() in newest(gateway, result.stderr)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_swaks(gateway: Gateway, require_peer: Any, port: str, mechanism: str) -> None:
    require_peer("swaks")
    tls = ["--tls"] if port == "submission" else ["--tls-on-connect"]
    result = run(
        [
            "swaks", "--server", f"127.0.0.1:{gateway.state[port]['port']}", *tls, "--auth", mechanism,
            "--auth-user", gateway.address, "--auth-password", gateway.password, "--from", gateway.address,
            "--to", "x@example.org", "--header", f"Subject: swaks {port} {mechanism}",
        ],
        b"",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert f"swaks {port} {mechanism}".encode() in newest(gateway, result.stdout)


@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_msmtp(gateway: Gateway, require_peer: Any, tmp_path: Path, port: str) -> None:
    require_peer("msmtp")
    config = tmp_path / "msmtprc"
    config.write_text(
        f"account default\nhost localhost\nport {gateway.state[port]['port']}\nfrom {gateway.address}\n"
        f"auth on\nuser {gateway.address}\npassword {gateway.password}\n"
        f"tls on\ntls_starttls {'on' if port == 'submission' else 'off'}\ntls_trust_file {gateway.state['ca_file']}\n"
    )
    config.chmod(0o600)
    content = plain_message(gateway.address, subject=f"msmtp {port}").replace(b"\r\n", b"\n")
    result = run(["msmtp", "-C", str(config), "-d", "x@example.org"], content)
    assert result.returncode == 0, result.stderr
    assert f"msmtp {port}".encode() in newest(gateway, result.stdout + result.stderr)


def newest(gateway: Gateway, conversation: bytes) -> bytes:
    """The capture of the message whose id stands in a client's protocol of the conversation."""
    message_id = conversation.partition(b"queued as ")[2].split()[0].decode()
    return split_capture(gateway.captured(message_id))[1]
