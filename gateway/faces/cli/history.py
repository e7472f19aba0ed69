"""An account as it was at a time, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.faces.cli.output import shown


def account_then(told: Mapping[str, Any]) -> str:
    """The lines of what `audit show ACCOUNT --at TIME` answers."""
    return "\n".join(_lines(told))


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    apart = ("policy", "raises")
    width = max(map(len, told))
    for name, value in told.items():
        if name not in apart:
            yield f"{name.ljust(width)}  {shown(name, value)}"
    for raised in told["raises"]:
        yield f"{'raised'.ljust(width)}  {_raised(raised)}"
    if told["policy"] is None:
        yield f"{'policy'.ljust(width)}  -"
    else:
        yield from _policy(told["policy"], width)


def _raised(raised: Mapping[str, Any]) -> str:
    limits = ", ".join(f"{key} = {value}" for key, value in raised["limits"].items())
    whose = "account" if raised["account_id"] else "tenant"
    time = f"{shown('since', raised['since'])} to {shown('until', raised['until'])}"
    return f"{limits} ({whose}, {time}, by {raised['by']}: {raised['reason']})"


def _policy(policy: Mapping[str, Any], width: int) -> Iterator[str]:
    version = policy["version"]
    yield f"{'policy'.ljust(width)}  {policy['policy']}" + (
        f", version {version}" if version is not None else ""
    )
    documents = ", ".join(f"{one['source']} version {one['version']}" for one in policy["documents"])
    yield f"{'documents'.ljust(width)}  {documents or '-'}"
    if policy["problem"]:
        yield f"{'problem'.ljust(width)}  {policy['problem']}"
    yield f"{'rules'.ljust(width)}  {', '.join(policy['rules']) or '-'}"
    yield "\nLimits and settings, with the document that set each:"
    keys = max((len(value["key"]) for value in policy["values"]), default=0)
    for value in policy["values"]:
        yield f"  {value['key'].ljust(keys)}  {value['value']}  ({value['source']})"
