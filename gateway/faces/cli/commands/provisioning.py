"""`provision`: working identities, one or many."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gateway.control.provisioning.files import COLUMNS, Row
from gateway.faces.cli.batches import Results, in_lines, read_requests
from gateway.faces.cli.command import command
from gateway.faces.cli.commands.domains import print_records
from gateway.faces.cli.commands.tenancy import environment_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options
from gateway.faces.cli.options import progress_option
from gateway.faces.cli.output import EXIT_FAILED, CommandFailed, Printer
from gateway.faces.cli.progress import Progress

ROW_COLUMNS = ("line", "status", "client_id", "address", "login", "app_password", "detail")
LARGEST_CALL = 500


def add_to(root: click.Group) -> None:
    """Register the group, which is a command too."""
    command(root, "provision", cls=click.Group, invoke_without_command=True)(provision)
    group = root.commands["provision"]
    assert isinstance(group, click.Group)
    command(group, "batch", epilog=f"Columns of a CSV file: {', '.join(COLUMNS)}.")(batch)


@click.option("--tenant", help="An existing tenant, or the name of a new one.")
@click.option("--plan", help="A new tenant's plan.")
@click.option("--contact", "contacts", multiple=True, help="A new tenant's contact; may be repeated.")
@click.option("--local-part", help="What stands before the @ of the address.")
@click.option("--display-name")
@click.option("--domain", help="The customer's own domain; without one a trial name is used.")
@click.option("--workspace", help="Without one it is assigned by the domain's pattern and the defaults.")
@click.option("--smtp/--no-smtp", default=False, show_default=True)
@click.option("--imap/--no-imap", default=False, show_default=True)
@click.option(
    "--app-password/--no-app-password",
    "password",
    default=False,
    show_default=True,
    help="Make one; it needs --smtp or --imap.",
)
@environment_option
@label_options
def provision(desk: Desk, printer: Printer, **options: Any) -> None:
    """Make an identity that can send at once: tenant, domain, key, shard, account, app password.

    What is there is used; with the same --client-id the account that is there is shown.
    """
    context = click.get_current_context()
    if context.invoked_subcommand is not None:
        return
    if not options["local_part"]:
        raise click.UsageError("Missing option '--local-part', or the command `batch`.", context)
    _print_one(printer, desk.api.post("/v1/provision", _request(options)))


def _print_one(printer: Printer, made: dict[str, Any]) -> None:
    """The identity, and what is to be published for it as `domain records` shows it."""
    if printer.as_json or printer.quiet:
        printer.one(made)
        return
    domain, shard = made["domain"], made["shard"]
    printer.one({**made, "domain": f"{domain['name']} ({domain['state']})", "shard": shard and shard["name"]})
    if domain["state"] not in ("active", "degraded"):
        printer.say(f"\nPublish this, then `gatepost domain verify {domain['name']}`:")
        print_records(printer, domain["records"])


@click.argument("file", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Keep results here; run again to go on."
)
@click.option(
    "--size", type=click.IntRange(1, LARGEST_CALL), default=100, show_default=True, help="Rows a call."
)
@progress_option
def batch(
    desk: Desk, printer: Printer, file: Path, out: Path | None, size: int, progress: bool | None
) -> None:
    """Provision every row of a CSV or JSON file; each is done once, however often this is run.

    The file is judged whole before the first row is done. A row that is refused then stops no other; exit 1
    if there is one. What is known is printed however a run ends; with --out it is kept, and a run that broke
    off goes on where it was.
    """
    began, rows = time.monotonic(), read_requests(file)
    results = Results(out, rows)
    todo = results.missing(len(rows))
    told = Progress("provisioned", len(todo), progress)
    try:
        for start in range(0, len(todo), size):
            numbers = todo[start : start + size]
            results.add(_call(desk, file, rows, numbers))
            told.at(start + len(numbers))
    finally:
        # Whatever ends a run: a password that was made cannot be shown a second time.
        known = [results.known[row] for row in sorted(results.known)]
        _print(printer, known, len(rows), time.monotonic() - began)
    if any(one["status"] == "failed" for one in known):
        raise SystemExit(EXIT_FAILED)


def _call(desk: Desk, file: Path, rows: Sequence[Row], numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Results of some rows, with their places in the file. Raises CommandFailed, with lines of the file."""
    try:
        reply = desk.api.post("/v1/provision/batch", {"rows": [rows[number].body for number in numbers]})
    except CommandFailed as error:
        error.detail = in_lines(error.detail, file, [rows[number].line for number in numbers])
        error.fix = f"{error.fix} Then run this again: what is done is not done twice.".lstrip()
        raise
    return [_placed(one, numbers[one["row"]], rows) for one in reply["items"]]


def _placed(result: dict[str, Any], row: int, rows: Sequence[Row]) -> dict[str, Any]:
    """A result with its place in the file: its row, from 0, and its line."""
    return {**result, "row": row, "line": rows[row].line}


def _print(printer: Printer, results: list[dict[str, Any]], rows: int, seconds: float) -> None:
    if printer.as_json:
        printer.many(results, ())
    else:
        flat = [
            {**(one["result"] or {}), **one, "id": (one["result"] or {}).get("grant_id")} for one in results
        ]
        printer.many(flat, ROW_COLUMNS, "no rows")
    states = [one["status"] for one in results]
    counts = {status: states.count(status) for status in ("created", "existing", "failed")}
    if rows > len(results):
        counts["not tried"] = rows - len(results)
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    printer.say(f"{rows} rows in {seconds:.1f} s: {said}")


def _request(options: dict[str, Any]) -> dict[str, Any]:
    """The request of one identity; what was not said is left out."""
    tenant = {"name": options["tenant"], "plan": options["plan"], "contacts": options["contacts"] or None}
    account = {name: options[name] for name in ("local_part", "display_name", "client_id")}
    account["metadata"] = options["metadata"] or None
    return {
        "tenant": _given(tenant),
        "account": _given(account),
        **{name: options[name] for name in ("environment", "domain", "workspace")},
        "protocols": {"smtp": options["smtp"], "imap": options["imap"]},
        "app_password": options["password"],
    }


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
