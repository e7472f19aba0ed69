"""A newcomer's first message: in over SMTP with an app password, out signed through the tenant's shard."""

import email
import email.policy
import re
import signal
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import dkim
import psutil
import pytest

from tests.support.gateway import Gateway, plain_message, run_program


def split_capture(octets: bytes) -> tuple[dict[str, list[str]], bytes]:
    """The envelope fields of a captured file and the bytes of the wire after them."""
    envelope: dict[str, list[str]] = {}
    while octets.startswith(b"X-Gatepost-Envelope-"):
        line, _, octets = octets.partition(b"\r\n")
        name, _, value = line.decode().partition(": ")
        envelope.setdefault(name, []).append(value)
    return envelope, octets


def keys_by_name(gateway: Gateway, domain: str) -> dict[str, str]:
    return {
        row["name"].rstrip("."): row["value"]
        for row in gateway.cli("domain", "records", domain)
        if row["purpose"] == "dkim"
    }


def verified(gateway: Gateway, domain: str, message: bytes) -> list[bool]:
    """Whether each signature of a message verifies with the keys that `domain records` lists."""
    keys = keys_by_name(gateway, domain)

    def look_up(name: bytes, **_: object) -> bytes | None:
        value = keys.get(name.decode().rstrip("."))
        return value.encode() if value else None

    count = len(re.findall(rb"(?im)^dkim-signature:", message.partition(b"\r\n\r\n")[0]))
    return [bool(dkim.DKIM(message).verify(idx=index, dnsfunc=look_up)) for index in range(count)]


def test_a_message_arrives_signed_with_a_rewritten_return_path(gateway: Gateway) -> None:
    content = plain_message(gateway.address, body="line one\r\n.dot\r\n..two dots")
    message_id = gateway.send(content, "a@example.org", "b@example.org")
    envelope, wire = split_capture(gateway.captured(message_id))
    [return_path] = envelope["X-Gatepost-Envelope-From"]
    assert re.fullmatch(rf"[a-z2-7]{{20,50}}@{re.escape(gateway.state['shard'])}", return_path.strip("<>"))
    assert sorted(to.strip("<>") for to in envelope["X-Gatepost-Envelope-To"]) == [
        "a@example.org",
        "b@example.org",
    ]
    assert wire.endswith(b"\r\n\r\nline one\r\n.dot\r\n..two dots\r\n")
    results = verified(gateway, gateway.state["domain"], wire)
    assert results
    assert all(results)


def test_acceptance_completes_the_header_and_hides_bcc(gateway: Gateway) -> None:
    content = plain_message(gateway.address).replace(
        b"Subject:", b"Bcc: secret@example.org\r\nX-Gatepost-Tag: one\r\nSubject:"
    )
    _, wire = split_capture(gateway.captured(gateway.send(content)))
    parsed = email.message_from_bytes(wire, policy=email.policy.SMTP)
    assert parsed["Date"]
    assert parsed["Message-ID"].strip("<>").endswith("@" + gateway.state["domain"])
    assert "with ESMTPSA" in parsed["Received"]
    assert b"secret@example.org" not in wire
    assert b"X-Gatepost" not in wire


def test_each_destination_is_a_transaction_of_its_own(gateway: Gateway) -> None:
    message_id = gateway.send(plain_message(gateway.address), "a@one.example", "b@two.example")
    folder = Path(gateway.state["captured"])
    gateway.captured(message_id)
    from tests.support.gateway import wait_until

    files = wait_until(lambda: len(found := list(folder.glob(f"{message_id}-*.eml"))) == 2 and found)
    assert all(re.fullmatch(rf"{message_id}-\d+-1\.eml", path.name) for path in files)
    rows = wait_until(
        lambda: (
            [r for r in gateway.cli("queue", "show", message_id)["recipients"] if r["state"] == "delivered"][
                1:
            ]
            and gateway.cli("queue", "show", message_id)
        )
    )
    assert rows["id"] == message_id


def test_trace_tells_the_story(gateway: Gateway) -> None:
    message_id = gateway.send(plain_message(gateway.address))
    gateway.captured(message_id)
    from tests.support.gateway import wait_until

    wait_until(lambda: "delivered" in str(gateway.cli("trace", message_id)))
    text = gateway.text("trace", message_id)
    assert "accepted" in text
    assert "delivered" in text


def test_log_lines_name_message_tenant_and_account(gateway: Gateway) -> None:
    message_id = gateway.send(plain_message(gateway.address))
    gateway.captured(message_id)
    from tests.support.gateway import wait_until

    lines = wait_until(
        lambda: (
            (found := [x for x in gateway.log_lines() if x.get("message_id") == message_id])
            and any(x["event"] == "delivered" for x in found)
            and found
        )
    )
    assert all(line["tenant_id"] == gateway.tenant_id and line["account_id"] for line in lines)


def test_no_secret_is_in_files_or_log(gateway: Gateway) -> None:
    gateway.send(plain_message(gateway.address))
    assert gateway.password not in gateway.log_text()
    for path in gateway.folder.rglob("*"):
        if path.is_file() and path.suffix != ".tmp" and path.name not in ("quickstart.json", "key.pem"):
            octets = path.read_bytes()
            assert gateway.password.encode() not in octets
            assert b"PRIVATE KEY" not in octets
    for name in ("quickstart.json", "gatepost.toml", "master.key"):
        assert stat.S_IMODE((gateway.folder / name).stat().st_mode) == 0o600


def test_metrics_answer_on_loopback(gateway: Gateway) -> None:
    import urllib.request

    gateway.send(plain_message(gateway.address))
    texts = [
        urllib.request.urlopen(url, timeout=60).read().decode() for url in gateway.state["metrics"]["urls"]
    ]
    assert any("gatepost_" in text for text in texts)


def test_quickstart_reuses_a_finished_folder_and_refuses_another_port_base(gateway: Gateway) -> None:
    before = (gateway.folder / "quickstart.json").read_text()
    again = run_program(
        "quickstart", "--dir", str(gateway.folder), "--port-base", str(gateway.port_base), "--setup-only"
    )
    assert again.returncode == 0
    assert (gateway.folder / "quickstart.json").read_text() == before
    other = run_program("quickstart", "--dir", str(gateway.folder), "--port-base", "2600", "--setup-only")
    assert other.returncode == 2
    assert "another port base" in other.stderr


def test_a_second_quickstart_says_what_is_in_its_way(gateway: Gateway, tmp_path: Path) -> None:
    ports = ("--port-base", str(gateway.port_base))
    again = run_program("quickstart", "--dir", str(gateway.folder), *ports)
    assert again.returncode == 1
    assert f"The gateway of {gateway.folder} is running already." in again.stderr
    other = run_program("quickstart", "--dir", str(tmp_path / "other"), *ports)
    assert other.returncode == 1
    assert str(gateway.port_base + 87) in other.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_quickstart_and_its_gateway(tmp_path: Path, number: signal.Signals) -> None:
    made = Gateway(tmp_path / "var")
    command = [sys.executable, "-m", "gateway", "quickstart", "--dir", str(made.folder)]
    command += ["--port-base", str(made.port_base)]
    # What a shell ignores for its children (nohup), it ignores too.
    as_at_login = partial(signal.signal, number, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=as_at_login) as quickstart:
        try:
            assert quickstart.stdout is not None
            assert any("Ctrl-C stops the gateway." in line for line in quickstart.stdout)
            (serve,) = psutil.Process(quickstart.pid).children()
            quickstart.send_signal(number)
            assert quickstart.wait(60) == 0
        finally:
            quickstart.kill()
    assert not serve.is_running()


@pytest.mark.parametrize("workers", [1, 3])
def test_sigterm_drains_and_a_restart_serves_again(tmp_path: Path, workers: int) -> None:
    running = Gateway(tmp_path / "var")
    running.edit_config(lambda text: text.replace("workers = 2", f"workers = {workers}"))
    running.start()
    first = running.send(plain_message(running.address))
    assert running.stop() == 0
    running.start()
    second = running.send(plain_message(running.address))
    running.captured(first)
    running.captured(second)
    assert running.stop() == 0
