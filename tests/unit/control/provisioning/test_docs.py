"""The manual names every column."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.control.provisioning.files import COLUMNS

MANUAL = Path(__file__).parents[4] / "docs" / "provisioning.md"


def test_every_column_is_in_the_manual() -> None:
    named = re.findall(r"^\| `([\w.]+)` \|", MANUAL.read_text("utf-8"), re.MULTILINE)
    assert named == list(COLUMNS)
