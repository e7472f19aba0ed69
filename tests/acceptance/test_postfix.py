"""Postfix takes our mail as a smarthost and as an MX found through DNS."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dns import NameServer
from tests.support.gateway import Gateway, free_port, plain_message, wait_until
from tests.support.postfix import Postfix


@pytest.fixture
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Postfix, NameServer]]:
    """A gateway whose mail to `dest.test` finds Postfix, through DNS of our own."""
    folder = tmp_path_factory.mktemp("postfix")
    gateway = Gateway(folder / "var")
    port = free_port()
    # Not below pytest's own folder: whatever session starts closes that to others, and Postfix is another user.
    root = Path(tempfile.mkdtemp(prefix="gatepost-postfix-"))
    postfix = Postfix(
        root, port, domains="dest.test",
        certificate=f"{gateway.folder}/tls/certificate.pem", key=f"{gateway.folder}/tls/key.pem", tls="may",
    )  # fmt: skip
    names = NameServer(
        {
            ("dest.test", "MX"): ["5 dead.dest.test.", "10 mx.dest.test."],
            ("mx.dest.test", "A"): ["127.0.0.1"],
            ("dead.dest.test", "A"): ["127.0.0.9"],
            ("null.test", "MX"): ["0 ."],
        }
    )
    gateway.edit_config(
        lambda text: (
            text.replace("[relay]\n", f"[relay]\nport = {port}\nallow_private = true\n")
            + f'\n[dns]\nservers = ["127.0.0.1:{names.port}"]\n'
        )
    )
    postfix.start()
    gateway.start()
    yield gateway, postfix, names
    gateway.stop()
    postfix.stop()
    names.close()
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("way", ["smarthost", "mx"])
def test_postfix_receives(
    require_peer: Any, request: pytest.FixtureRequest, way: str, tmp_path: Path
) -> None:
    require_peer("postfix")
    gateway, postfix, _ = request.getfixturevalue("installation")
    route = "mx" if way == "mx" else f"smtp://127.0.0.1:{postfix.port}"
    gateway.cli("shard", "route", gateway.state["shard"], route)
    gateway.obeyed()
    message_id = gateway.send(
        plain_message(gateway.address, subject=f"by {way}"), "a@dest.test", "b@dest.test"
    )
    [first, second] = wait_until(
        lambda: len(found := postfix.received()) == 2 and found, 20, f"mail at Postfix\n{postfix.log()}"
    )
    for message in (first, second):
        assert message["Subject"] == f"by {way}"
        assert message["DKIM-Signature"]
        assert message["Return-Path"].strip("<>").endswith("@" + gateway.state["shard"])
    # One transaction for both recipients, TLS where it was offered.
    wait_until(lambda: "nrcpt=2" in postfix.log(), what="the transaction in Postfix' log")
    assert postfix.log().count("nrcpt=2") == 1
    assert "with ESMTPS" in first.as_string()
    wait_until(lambda: not gateway.cli("queue", "list"), what="an empty queue")
    assert "delivered" in gateway.text("trace", message_id)


def test_an_unknown_domain_and_a_null_mx_bounce_with_a_report(
    require_peer: Any, request: pytest.FixtureRequest
) -> None:
    require_peer("postfix")
    gateway, _, _ = request.getfixturevalue("installation")
    gateway.cli("shard", "route", gateway.state["shard"], "mx")
    gateway.obeyed()
    for recipient, enhanced in (("x@null.test", "5.1.10"), ("x@nowhere.test", "5.1.2")):
        message_id = gateway.send(plain_message(gateway.address), recipient)
        row = wait_until(
            lambda message_id=message_id: [
                r for r in gateway.cli("queue", "show", message_id)["recipients"] if r["state"] == "bounced"
            ],
            what=f"a bounce for {recipient}",
        )
        assert enhanced in row[0]["last_reply"]
    folder = Path(gateway.state["captured"])
    reports = wait_until(
        lambda: [
            text
            for path in folder.glob("*.eml")
            if "multipart/report" in (text := path.read_text("utf-8", "replace"))
        ][1:],
        what="two reports",
    )
    assert all("Auto-Submitted" in text for text in reports)
