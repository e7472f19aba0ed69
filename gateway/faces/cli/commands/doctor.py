"""`doctor`: what is wrong with the installation, and what to do about it."""

from __future__ import annotations

from typing import Any

import click

from gateway.faces.cli.command import command
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.output import EXIT_FAILED, Printer

COLUMNS = ("level", "name", "subject", "detail")


def add_to(root: click.Group) -> None:
    """Register the command."""
    command(root, "doctor")(doctor)


@click.option(
    "--all", "everything", is_flag=True, help="Look at all keys and domains, and list what is right too."
)
def doctor(desk: Desk, printer: Printer, everything: bool) -> None:
    """Look at the whole installation from outside in; exit status 1 if anything is red, else 0."""
    report = desk.api.get("/v1/doctor", everything=everything or None)
    if printer.as_json:
        printer.one(report)
    elif not printer.quiet:
        _print(printer, report["findings"], everything)
        printer.say(f"The installation is {report['level']}.")
    if report["level"] == "red":
        raise SystemExit(EXIT_FAILED)


def _print(printer: Printer, findings: list[dict[str, Any]], everything: bool) -> None:
    wrong = [row for row in findings if row["level"] != "green"]
    for row in wrong:
        printer.say(f"{row['level'].upper()}  {row['name']}, {row['subject']}: {row['detail']}")
        if row["fix"]:
            printer.say(f"    {row['fix']}")
    right = [row for row in findings if row["level"] == "green"]
    if everything:
        printer.many(right, COLUMNS)
    else:
        printer.say(f"{len(right)} checks are green; --all lists them.")
