"""The API's description as it is committed: `python -m tests.support.openapi` (`make openapi`) writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from gateway.faces.api.application import build_app, schema
from gateway.faces.api.parts import ApiParts

COMMITTED = Path(__file__).parents[2] / "docs/openapi.json"


def described() -> dict[str, Any]:
    """What the application says of itself; no operation is called, so it needs no parts."""
    return schema(build_app(cast("ApiParts", None)))


def main() -> None:
    """Write it."""
    COMMITTED.write_text(json.dumps(described(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
