"""The explanation of a decision as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def explanation(told: Mapping[str, Any]) -> str:
    """The lines of what `policy explain` answers."""
    return "\n".join(_lines(told))


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"Reply      {told['reply']}"
    yield f"Rule       {told['rule']}"
    yield f"Account    {told['account']}"
    yield f"Password   {told['credential'] or 'any that is valid'}"
    yield f"Tenant     {told['tenant']} (plan {told['plan']})"
    yield f"Workspace  {told['workspace']} ({told['environment']}, location {told['location']})"
    yield f"Policy     {told['policy']}, version {told['policy_version']}"
    yield f"Stream     {told['stream']}"
    yield "\nLimits and settings, with the document that set each:"
    width = max(len(value["key"]) for value in told["values"])
    for value in told["values"]:
        yield f"  {value['key'].ljust(width)}  {value['value']}  ({value['source']})"
    yield "\nChecks:"
    for step in told["steps"]:
        yield f"  {step['outcome'].ljust(11)}  {step['rule']}" + (
            f": {step['detail']}" if step["detail"] else ""
        )
    yield "\nCharged:"
    yield from (f"  {charge}" for charge in told["charges"] or ("nothing is limited",))
    yield "\nWay out:"
    yield from map(_way, told["ways"])
    yield f"  signed with {', '.join(told['selectors']) or 'no key: nothing would leave'}"


def _way(way: Mapping[str, Any]) -> str:
    shard = f"{way['shard']} ({way['state']}) by {way['route']}" if way["shard"] else "no shard"
    return f"  {way['recipient']}: {shard}" + (f" from {way['source']}" if way["source"] else "")
