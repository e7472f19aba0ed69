"""A quota is exact: several workers, 50 connections, 3000 tries, a limit of 1000, not one over."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.gateway import Gateway

LIMIT, TRIES, CONNECTIONS = 1000, 3000, 50


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_exactly_the_limit_is_accepted(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    running = Gateway(tmp_path / "var")
    running.edit_config(lambda text: text.replace("workers = 2", "workers = 4"))
    if kind == "postgresql":
        url = request.getfixturevalue("postgresql_url")
        old = f'url = "sqlite:///{running.folder}/location.db"'
        running.edit_config(lambda text: text.replace(old, f'url = "{url}"'))
    document = tmp_path / "capped.toml"
    document.write_text(f'extends = "default"\n[limits.account]\nmessages_per_day = {LIMIT}\n')
    running.cli("policy", "apply", str(document))
    running.cli("workspace", "create", "capped", "--tenant", running.tenant_id, "--policy", "capped")
    running.cli("account", "update", running.address, "--workspace", "capped")
    if (left := 86_400 - time.time() % 86_400) < 120:
        time.sleep(left + 1)  # The day's counters begin anew at midnight, UTC.
    running.start()
    plan = {
        "port": running.state["submission"]["port"],
        "login": running.address,
        "password": running.password,
        "sender": running.address,
        "messages": TRIES,
        "sessions": CONNECTIONS,
        "size": 512,
    }
    result = json.loads(
        subprocess.run(
            [sys.executable, "-m", "tests.bench.load", json.dumps(plan)],
            capture_output=True,
            check=True,
            timeout=250,
        ).stdout
    )
    assert (result["accepted"], result["refused"]) == (LIMIT, TRIES - LIMIT)
    assert result["first_refusal"].startswith(
        f"452 4.7.1 daily limit of {LIMIT} messages reached for this account; opens at "
    )
    listed = running.cli("queue", "list", "--limit", str(TRIES), "--state", "all")
    assert len({row["id"] for row in listed}) == LIMIT
    assert running.stop() == 0
