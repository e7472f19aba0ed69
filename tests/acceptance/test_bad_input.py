"""Awkward and hostile input: a reply, never a traceback or a stuck worker; what is accepted leaves as it came."""

import re
import smtplib
import socket
import ssl
from pathlib import Path

import psutil
import pytest

from tests.acceptance.test_first_message import split_capture
from tests.support.gateway import Gateway, plain_message, run_program, submit


def offer(gateway: Gateway, content: bytes) -> tuple[int, str]:
    """The reply to one message of the demo account."""
    with gateway.smtp() as client:
        try:
            return 250, submit(client, content, ("x@example.org",), gateway.address)
        except smtplib.SMTPResponseException as refusal:
            return refusal.smtp_code, refusal.smtp_error.decode()


def awkward(address: str) -> dict[str, bytes]:
    """Messages that programs stumble over, each with a From of its own unless that is the point."""
    own = f"From: {address}\r\n".encode()
    nested = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(1000)
    )
    return {
        "no header": b"\r\nonly a body\r\n",
        "nothing": b"",
        "no colon": own + b"this is no field\r\n\r\nx\r\n",
        "NUL in header": own + b"Subject: a\x00b\r\n\r\nx\r\n",
        "NUL in body": own + b"\r\na\x00b\r\n",
        "8-bit header": own + b"Subject: Gr\xfc\xdfe\r\n\r\nx\r\n",
        "100000 headers": own + b"X-Many: y\r\n" * 100_000 + b"\r\nx\r\n",
        "1001 headers": own + b"X-Many: y\r\n" * 1_001 + b"\r\nx\r\n",
        "a header of 200 KB": own
        + b"X-Big: "
        + b"y" * 900
        + (b"\r\n " + b"y" * 900) * 220
        + b"\r\n\r\nx\r\n",
        "a line of 10 MB": own + b"\r\n" + b"y" * 10_000_000 + b"\r\n",
        "1000 nested parts": own + b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n" + nested,
        "60 hops": b"Received: from a by b; Mon, 23 Nov 2026 10:00:00 +0000\r\n" * 60 + own + b"\r\nx\r\n",
        "broken MIME": own + b'Content-Type: multipart/mixed; boundary="\r\n\r\n--\r\n--\r\n',
        "no final newline": own + b"\r\nno newline at the end",
        "only dots": own + b"\r\n.\r\n..\r\n...\r\n",
    }


EXPECTED = {
    "no header": (550,),
    "nothing": (550,),
    "no colon": (250, 550),
    "NUL in header": (550,),
    "NUL in body": (550,),
    "8-bit header": (250, 550),
    "100000 headers": (550, 552, 554),
    "1001 headers": (550, 552, 554),
    "a header of 200 KB": (550, 552, 554),
    "a line of 10 MB": (550,),
    "1000 nested parts": (250, 550),
    "60 hops": (554,),
    "broken MIME": (250,),
    "no final newline": (250,),
    "only dots": (250,),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_awkward_messages_get_a_reply(gateway: Gateway, name: str) -> None:
    code, text = offer(gateway, awkward(gateway.address)[name])
    assert code in EXPECTED[name], text
    assert "Traceback" not in text
    assert offer(gateway, plain_message(gateway.address))[0] == 250


def test_no_traceback_was_logged_and_nobody_died(gateway: Gateway) -> None:
    before = {child.pid for child in gateway.children()}
    for content in awkward(gateway.address).values():
        offer(gateway, content)
    assert {child.pid for child in gateway.children()} == before
    assert not [
        line for line in gateway.log_lines() if line.get("exception") or line.get("event") == "process_died"
    ]


def test_memory_stays_bounded(gateway: Gateway) -> None:
    for _ in range(3):
        offer(gateway, awkward(gateway.address)["a line of 10 MB"])
    most = max(psutil.Process(child.pid).memory_info().rss for child in gateway.children())
    assert most < 400 * 1024 * 1024


def test_an_endless_line_is_cut_off_at_the_size_limit(gateway: Gateway) -> None:
    plain = socket.create_connection(("127.0.0.1", gateway.state["submissions"]["port"]), 30)
    with gateway.tls_context().wrap_socket(plain, server_hostname="localhost") as client:
        reader = client.makefile("rb")
        log_in(gateway, client, reader)
        client.sendall(f"MAIL FROM:<{gateway.address}>\r\nRCPT TO:<x@example.org>\r\nDATA\r\n".encode())
        assert [reader.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        sent = 0
        try:
            while sent < 120 * 1024 * 1024:
                client.sendall(b"y" * 1_000_000)
                sent += 1_000_000
            client.sendall(b"\r\n.\r\n")
            reply = reader.readline()
        except (OSError, ssl.SSLError):
            reply = b"552 connection closed"
    assert reply[:3] == b"552"
    most = max(psutil.Process(child.pid).memory_info().rss for child in gateway.children())
    assert most < 400 * 1024 * 1024


def log_in(gateway: Gateway, client: ssl.SSLSocket, reader: object) -> None:
    """AUTH PLAIN on a raw session."""
    import base64

    token = base64.b64encode(f"\0{gateway.address}\0{gateway.password}".encode()).decode()
    assert reader.readline().startswith(b"220")
    client.sendall(b"EHLO test\r\n")
    while reader.readline()[3:4] == b"-":
        pass
    client.sendall(f"AUTH PLAIN {token}\r\n".encode())
    assert reader.readline().startswith(b"235")


def test_what_is_accepted_leaves_byte_for_byte(gateway: Gateway) -> None:
    body = (
        "Ünïcode body\r\n\tindented \r\n.\r\n..\r\n"
        + "a" * 998
        + "\r\nFrom the start of a line\r\n\r\n  \r\n\r\n"
    ).encode()
    fields = (
        b"X-Odd:    several   spaces \r\nX-Folded: one\r\n\ttwo\r\n  three\r\nx-lower: y\r\nX-Odd: again\r\n"
    )
    content = (
        f"From: {gateway.address}\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <own@id>\r\n".encode()
        + fields
        + b"\r\n"
        + body
    )
    _, wire = split_capture(gateway.captured(gateway.send(content)))
    assert wire.endswith(content)
    added = wire[: -len(content)]
    names = {line.split(b":")[0].lower() for line in re.split(rb"\r\n(?![ \t])", added) if line}
    assert names == {b"dkim-signature", b"received"}


def test_bare_newlines_never_leave_as_such(gateway: Gateway) -> None:
    content = f"From: {gateway.address}\nSubject: bare\r\r\none\rtwo\nthree\r\n".encode()
    plain = socket.create_connection(("127.0.0.1", gateway.state["submissions"]["port"]), 30)
    with gateway.tls_context().wrap_socket(plain, server_hostname="localhost") as client:
        reader = client.makefile("rb")
        log_in(gateway, client, reader)
        client.sendall(f"MAIL FROM:<{gateway.address}>\r\nRCPT TO:<x@example.org>\r\nDATA\r\n".encode())
        assert [reader.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        client.sendall(content + b"\n.\n\r.\r\n.\n\r\n.\r\n")
        reply = reader.readline()
    assert reply.startswith(b"250"), reply
    _, wire = split_capture(gateway.captured(reply.decode().split()[4]))
    assert wire.count(b"\n") == wire.count(b"\r") == wire.count(b"\r\n")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('hostnam = "x"', "hostnam"),
        ("workers = -3", "workers"),
        ('workers = "many"', "workers"),
        ('[relay]\ndefault_rout = "mx"', "default_rout"),
        ('[relay]\ndefault_route = "ftp://x"', "default_route"),
    ],
)
def test_a_configuration_with_a_mistake_names_file_line_and_key(tmp_path: Path, line: str, key: str) -> None:
    config = tmp_path / "gatepost.toml"
    config.write_text(f'hostname = "mail.example.net"\nstate_dir = "{tmp_path}"\n{line}\n')
    for command in ("check", "serve"):
        result = run_program(command, "--config", str(config))
        assert result.returncode == 2
        assert key in result.stderr + result.stdout
        assert re.search(r"gatepost\.toml:\d", result.stderr + result.stdout)


def test_a_policy_with_mistakes_names_each_and_applies_nothing(gateway: Gateway, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(
        'extends = "nowhere"\n[limits]\nrecipients_per_mesage = 5\n[limits.account]\nmessages_per_day = -1\n'
    )
    result = run_program("--config", gateway.config, "policy", "apply", str(bad))
    assert result.returncode == 2
    for part in (
        "bad.toml:3",
        "recipients_per_mesage",
        "recipients_per_message",
        "bad.toml:5",
        "messages_per_day",
    ):
        assert part in result.stderr + result.stdout
    assert "bad" not in [row["name"] for row in gateway.cli("policy", "list")]


def test_a_wrong_or_missing_master_key_is_refused_with_a_sentence(tmp_path: Path) -> None:
    running = Gateway(tmp_path / "var")
    key = running.folder / "master.key"
    database = (running.folder / "control.db").read_bytes()
    key.unlink()
    missing = run_program("serve", "--config", running.config)
    assert missing.returncode in (1, 2)
    assert "master.key" in missing.stderr
    run_program("master-key", "create", str(key))
    wrong = run_program("serve", "--config", running.config)
    assert wrong.returncode == 1
    assert "master key" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert (running.folder / "control.db").read_bytes() == database


def test_a_newer_schema_is_refused_and_nothing_touched(tmp_path: Path) -> None:
    import sqlite3

    running = Gateway(tmp_path / "var")
    path = running.folder / "control.db"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version = 9999, oldest = 9999")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    before = path.read_bytes()
    result = run_program("serve", "--config", running.config)
    assert result.returncode == 1
    assert "newer" in result.stderr
    assert "Traceback" not in result.stderr
    assert path.read_bytes() == before


def test_a_busy_port_is_named_with_its_holder(tmp_path: Path) -> None:
    running = Gateway(tmp_path / "var")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", running.state["submission"]["port"]))
        holder.listen()
        result = run_program("serve", "--config", running.config)
    assert result.returncode == 1
    assert str(running.state["submission"]["port"]) in result.stderr
    assert "python" in result.stderr
