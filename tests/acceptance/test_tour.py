"""The tour of the README against a served quickstart, with fewer tenants."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.gateway import Gateway

TOUR = Path(__file__).parents[2] / "conf/examples/tour.py"


def test_it_shows_each_effect_on_open_sessions_and_may_be_walked_again(gateway: Gateway) -> None:
    state = gateway.folder / "quickstart.json"
    command = [sys.executable, TOUR, str(state), "--tenants", "20"]
    for made in (20, 0):
        result = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        assert f"provisioned {made} tenants" in result.stdout
        assert result.stderr == "  20 of 20 tenants are there\n"
        later = [line for line in result.stdout.splitlines() if "ms later" in line]
        larger, smaller, revoked = (line.split("reads: ")[1][:3] for line in later)
        # Refused at a command (550, then 421) or at the end of one (421): whichever comes first.
        assert (larger, smaller, revoked in ("421", "550")) == ("552", "250", True)
        assert "a plan after that says: no changes" in result.stdout
        assert "goes on: 250 2.0.0 queued as" in result.stdout
    api = gateway.state["api"]
    reply = httpx.get(
        f"{api['url']}/v1/accounts?workspace=tour",
        headers={"Authorization": f"Bearer {api['key']}"},
        timeout=60,
    )
    assert [one["assignment"] for one in reply.json()["items"]] == ["explicit"] * 20
