"""The walk with curl in docs/api.md, as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.support.gateway import Gateway
from tests.support.peers import RequirePeer

MANUAL = Path(__file__).parents[2] / "docs/api.md"


def test_the_commands_do_what_is_said(gateway: Gateway, require_peer: RequirePeer) -> None:
    require_peer("curl")
    walk = MANUAL.read_text().split("## A walk with curl")[1]
    commands = re.findall(r"^```sh\n(.*?)^```", walk, re.MULTILINE | re.DOTALL)
    assert len(commands) > 5
    state = gateway.state
    environment = {
        **os.environ,
        "GATEPOST_URL": state["api"]["url"],
        "GATEPOST_KEY": state["api"]["key"],
        "SMTP": f"smtp://localhost:{state['submission']['port']}",
        "CA": state["ca_file"],
    }
    result = subprocess.run(
        ["sh", "-eu"],
        input="\n".join(commands),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    first, *_ = result.stdout.partition("It was taken.")
    assert '"address":"bob@walk.trial.gatepost.test"' in first
    assert '"created":true' in first
    assert '"state":"queued"' in result.stdout
    assert result.stdout.count('"type":"gatepost.message.delivered"') == 2
    assert '{"changes":[]}' in result.stdout
    assert "452" in result.stdout, "two recipients are one too many"
    assert '"created":false' in result.stdout
    assert '"code":"changed-meanwhile"' in result.stdout
    assert "It was refused." in result.stdout
    assert said.count("It was taken.") == 1
