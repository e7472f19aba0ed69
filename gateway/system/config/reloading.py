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
    for name in ("locations", *(key.field for key in TOP if key.needs_restart)):
        if getattr(running, name) != getattr(changed, name):
            waiting.append(name)
            kept[name] = getattr(running, name)
    for section, keys in SECTIONS.items():
        # A section without an object of its own: `[trial] zone` is the configuration's `trial_zone`.
        is_flat = not hasattr(running, section)
        old, new = (running, changed) if is_flat else (getattr(running, section), getattr(changed, section))
        old_values: dict[str, Any] = {}
        for key in keys:
            place = f"{section}_{key.field}" if is_flat else key.field
            if key.needs_restart and getattr(old, place) != getattr(new, place):
                waiting.append(f"{section}.{key.name}")
                old_values[place] = getattr(old, place)
        if is_flat:
            kept |= old_values
        elif old_values:
            kept[section] = replace(new, **old_values)
    return replace(changed, **kept), tuple(waiting)
