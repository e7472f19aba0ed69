"""`gatepost serve` as an operator meets it: start, reload, refusal, the supervisor's hands."""

import contextlib
import os
import shutil
import signal
import smtplib
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gateway.system.tls import make_certificates
from tests.support.gateway import Gateway, plain_message, run_program, submit, wait_until


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of the test's own, not started."""
    gateway = Gateway(tmp_path / "var")
    yield gateway
    if gateway.process is not None:
        gateway.kill()


def served(gateway: Gateway) -> tuple[int, str]:
    """Run `serve`, which should end by itself; its status and what it wrote."""
    result = run_program("serve", "--config", gateway.config)
    return result.returncode, result.stderr


def test_the_supervisor_has_one_thread_and_no_database(own: Gateway) -> None:
    own.start()
    assert own.process is not None
    assert len(os.listdir(f"/proc/{own.process.pid}/task")) == 1
    names = {Path(file.path).suffix for file in psutil.Process(own.process.pid).open_files()}
    assert not names & {".db", ".db-wal", ".db-shm"}


def test_reload_takes_a_new_certificate_and_drops_nobody(own: Gateway) -> None:
    own.start()
    folder = Path(own.state["ca_file"]).parent
    old_ca = own.folder / "old-ca.pem"
    shutil.copy(own.state["ca_file"], old_ca)
    with own.smtp() as open_before:
        make_certificates(folder, time.time())
        assert own.process is not None
        own.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any(line["event"] == "reloaded" for line in own.log_lines()), what="reloaded")
        assert submit(open_before, plain_message(own.address), ("x@example.org",), own.address)
    with own.smtp():
        pass
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(own, "submissions", ssl.create_default_context(cafile=old_ca))
    connect(own, "submissions", own.tls_context())


def connect(gateway: Gateway, port: str, context: ssl.SSLContext) -> None:
    number = gateway.state[port]["port"]
    with smtplib.SMTP_SSL("127.0.0.1", number, context=context, timeout=30) as client:
        client.ehlo()


def test_a_bad_certificate_at_reload_leaves_the_old_one(own: Gateway) -> None:
    own.start()
    key = Path(own.state["ca_file"]).parent / "key.pem"
    key.write_text("no key")
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: any(line["event"] == "reload_refused" for line in own.log_lines()), what="reload_refused"
    )
    connect(own, "submissions", own.tls_context())


def test_limits_reach_new_sessions_at_reload(own: Gateway) -> None:
    own.start()
    own.edit_config(lambda text: text + '\n[limits]\nmessage_bytes = "70 KB"\n')
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any(line["event"] == "reloaded" for line in own.log_lines()), what="reloaded")
    with own.smtp() as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "70000"


def test_a_mistake_is_named_and_nothing_started(own: Gateway) -> None:
    own.edit_config(lambda text: text.replace("workers", "wokers"))
    status, said = served(own)
    assert status == 2
    assert f"{own.config}:" in said
    assert 'wokers: there is no such key (did you mean "workers"?)' in said


def test_a_busy_port_is_named(own: Gateway) -> None:
    with socket.create_server(("127.0.0.1", own.state["submission"]["port"])):
        status, said = served(own)
    assert status == 1
    assert f"in use by process {os.getpid()}" in said


def test_a_second_serve_is_refused(own: Gateway) -> None:
    own.start()
    own.edit_config(lambda text: text.replace(str(own.port_base + 87), str(own.port_base + 81)))
    status, said = served(own)
    assert status == 1
    assert "another gatepost serves from" in said
    own.send(plain_message(own.address))


def test_a_missing_master_key_is_refused(own: Gateway) -> None:
    (own.folder / "master.key").unlink()
    status, said = served(own)
    assert status == 1
    assert "master key" in said


def test_each_mail_process_shows_its_metrics(own: Gateway) -> None:
    own.start()
    own.send(plain_message(own.address))
    pages = [urllib.request.urlopen(url, timeout=10).read().decode() for url in own.state["metrics"]["urls"]]
    assert len(pages) == 2
    accepted = [page.count('gatepost_messages_accepted_total{origin="submission"} 1.0') for page in pages]
    assert sorted(accepted) == [0, 1]
    assert own.state["account"]["tenant_id"] not in "".join(pages)


def test_a_client_that_stalls_does_not_cost_the_relay_its_drain(own: Gateway) -> None:
    own.edit_config(lambda text: text + '\n[limits]\ndrain_timeout = "16s"\n')
    own.start()
    with contextlib.suppress(smtplib.SMTPException, OSError), own.smtp() as client:
        client.mail(own.address)
        client.rcpt("x@example.org")
        client.docmd("DATA")
        assert own.stop() == 0
    events = {line["event"] for line in own.log_lines()}
    assert "stopped" in events
    assert "process_killed" not in events
