"""What of a changed configuration holds at once, and what waits for a restart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.system.config.keys import SECTIONS, TOP
from gateway.system.config.model import Config


def merged(running: Config, changed: Config) -> tuple[Config, tuple[str, ...]]:
    """The configuration to run with after a reload, and the keys whose change waits for a restart."""
    waiting: list[str] = []
    kept: dict[str, Any] = {}
    for name in (key.field for key in TOP if key.needs_restart):
        if getattr(running, name) != getattr(changed, name):
            waiting.append(name)
            kept[name] = getattr(running, name)
    for name in ("locations", "master_key_file", "trial_zone"):
        if getattr(running, name) != getattr(changed, name):
            waiting.append(name)
            kept[name] = getattr(running, name)
    for section in ("listen", "control", "relay", "dns", "domains", "api", "auth", "limits"):
        old, new = getattr(running, section), getattr(changed, section)
        fields = [key.field for key in SECTIONS[section] if key.needs_restart]
        differing = [field for field in fields if getattr(old, field) != getattr(new, field)]
        if differing:
            waiting += [f"{section}.{field}" for field in differing]
            kept[section] = replace(new, **{field: getattr(old, field) for field in differing})
    return replace(changed, **kept), tuple(waiting)
