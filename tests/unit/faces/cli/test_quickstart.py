"""Quickstart's word on a gateway that ends by itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.faces.cli import quickstart
from gateway.faces.cli.output import CommandFailed


def test_a_gateway_that_ends_leaves_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "dies"
    script.write_text("#!/bin/sh\necho why it ended >&2\nexit 3\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    for step in ("_end_like_ctrl_c", "_await_port", "send_demo_message", "_await_capture", "_story"):
        monkeypatch.setattr(quickstart, step, lambda *_: "")
    state: dict[str, Any] = {"config": str(tmp_path / "gatepost.toml"), "captured": ""}
    with pytest.raises(CommandFailed, match="ended with status 3") as failed:
        quickstart.run_demo(state, lambda _: None)
    assert failed.value.fix == "why it ended"
