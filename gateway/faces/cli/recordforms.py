"""A domain's records in forms for other places: a zone file, and the text of an email. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.control.domains.zonefile import zone_line

Row = dict[str, Any]


def zone_snippet(rows: Sequence[Row], origin: str | None = None) -> str:
    """Lines for a BIND zone file; names are whole, or relative to `origin`.

    What the platform publishes stands in other zones: where the customer has records too, it is commented
    out, so that the snippet is valid in the customer's zone.
    """
    ours = [row for row in rows if row["publisher"] == "customer"]
    others = [row for row in rows if row["publisher"] != "customer"]
    lines = [f"$ORIGIN {origin}."] if origin is not None else []
    lines += [line for row in ours or others for line in _explained(row, origin)]
    if ours and others:
        lines += ["; The platform's own zones have these:"]
        lines += ["; " + zone_line(row["name"], row["type"], row["value"]) for row in others]
    return "\n".join(lines) + "\n"


def email_text(domain: Row, rows: Sequence[Row]) -> str:
    """The customer's records as plain text that explains itself, for whoever keeps the domain's DNS."""
    ours = [row for row in rows if row["publisher"] == "customer"]
    lines = [
        f"DNS records for {_both_names(domain)}",
        "",
        "Please add the records below where the DNS of the domain is kept. Records that are there stay",
        "as they are. Some DNS panels add the domain to each name by themselves: leave it out there.",
        "Copy values exactly, without quotes; a long one is a single value, however it is wrapped.",
    ]
    for heading, required in (("REQUIRED", True), ("RECOMMENDED", False)):
        some = [row for row in ours if row["required"] is required]
        if some:
            lines += ["", heading]
        for n, row in enumerate(some, 1):
            lines += ["", *_told(n, row)]
    if not ours:
        lines += ["", "There is nothing to add: the platform publishes everything itself."]
    return "\n".join(lines) + "\n"


def _explained(row: Row, origin: str | None) -> Iterator[str]:
    need = "required" if row["required"] else "recommended"
    yield f"; {row['purpose']}, {need}"
    if row["note"]:
        yield f"; {' '.join(row['note'].split())}"
    yield _line(row, origin)


def _line(row: Row, origin: str | None) -> str:
    line = zone_line(row["name"], row["type"], row["value"])
    if origin is None:
        return line
    name = str(row["name"])
    if name == origin:
        return "@" + line.removeprefix(name + ".")
    if name.endswith("." + origin):
        return name.removesuffix("." + origin) + line.removeprefix(name + ".")
    return line


def _told(n: int, row: Row) -> Iterator[str]:
    yield f"{n}. Type:  {row['type']}"
    yield f"   Name:  {row['name']}"
    value = row["value"]
    if row["type"] == "MX":
        preference, _, value = value.partition(" ")
        yield f"   Priority: {preference}"
    yield f"   Value: {value}"
    if row["note"]:
        yield f"   ({' '.join(row['note'].split())})"


def _both_names(domain: Row) -> str:
    name, unicode_name = domain["name"], domain["unicode_name"]
    return str(name) if name == unicode_name else f"{unicode_name} ({name})"
