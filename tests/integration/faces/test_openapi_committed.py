"""docs/openapi.json is what the application says of itself."""

from __future__ import annotations

import json

from tests.support.openapi import COMMITTED, described


def test_the_committed_description_is_the_applications() -> None:
    committed = json.loads(COMMITTED.read_text())
    assert committed == json.loads(json.dumps(described())), "`make openapi` writes it anew"
