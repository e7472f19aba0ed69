"""`policy`: documents that say what accounts may do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.explanation import explanation
from gateway.faces.cli.files import read_documents
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import NAMED, list_options
from gateway.faces.cli.output import EXIT_CHANGES, Printer, Row

VERSION_COLUMNS = ("version", "updated_at", "created_by", "name")
SIMULATED = ("policy", "since", "until", "accepted", "refused", "held", "released", "recipients", "unjudged")
RULE_COLUMNS = ("rule", "outcome", "messages", "recipients", "accounts")
TOTAL_COLUMNS = ("account", "refused", "held", "recipients")
MESSAGE_COLUMNS = ("at", "outcome", "rule", "account", "recipients", "subject", "message_id")
_PLAN_PREFIXES = ("plans/", "plan/", "plan:")

path_argument = click.argument("path", type=click.Path(exists=True, path_type=Path))
exit_code_option = click.option(
    "--exit-code", "with_code", is_flag=True, help="Exit with 2 if something would change, 1 on any mistake."
)


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(policy)


@click.group()
def policy() -> None:
    """Documents that say what accounts may do."""


@command(policy, "plan")
@path_argument
@exit_code_option
def policy_plan(desk: Desk, printer: Printer, path: Path, with_code: bool) -> None:
    """Show what `apply` would change; nothing is changed."""
    changes = list(_handed_in(desk, "/v1/policies/plan", path))
    _print_changes(printer, changes, "would change")
    if with_code and any(one["change"] != "unchanged" for one in changes):
        raise SystemExit(EXIT_CHANGES)


@command(policy, "apply")
@path_argument
def policy_apply(desk: Desk, printer: Printer, path: Path) -> None:
    """Apply a document or a folder of them: all or nothing; every account follows within a second."""
    _print_changes(printer, _handed_in(desk, "/v1/policies/apply", path), "changed")


def _handed_in(desk: Desk, operation: str, path: Path) -> Iterable[Row]:
    files = read_documents(path, "policy-invalid", below=("plans",))
    rows: list[Row] = desk.api.post(operation, {"files": files})["items"]
    return rows


def _print_changes(printer: Printer, changes: Iterable[Row], word: str) -> None:
    if printer.as_json:
        printer.many(changes, ())
        return
    changed = [change for change in changes if change["change"] != "unchanged"]
    if not changed:
        printer.say("no changes")
        return
    rows = []
    for change in changed:
        document = f"{change['kind']} {change['name']}"
        printer.say(f"{document}: {change['change']}, version {change['version']}")
        rows += [{"document": document, "name": change["name"], **key} for key in change["keys"]]
    printer.many(rows, ("document", "key", "before", "after"), f"no values {word}")


@command(policy, "list")
@list_options("name", "client_id", sorts=NAMED)
def policy_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """All policies."""
    rows = desk.api.list("/v1/policies", **query)
    printer.many(rows, ("name", "version", "updated_at", "id"), "no policies")


@command(policy, "show")
@click.argument("policy")
@click.option("--version", type=int, help="An earlier version.")
def policy_show(desk: Desk, printer: Printer, policy: str, version: int | None) -> None:
    """One policy, with its document; `plans/NAME` is a plan."""
    printer.one(desk.api.get(_place(policy), version=version))


@command(policy, "update")
@click.argument("policy")
@label_options
def policy_update(desk: Desk, printer: Printer, policy: str, **options: Any) -> None:
    """Change your own words for a policy; `apply` changes its document."""
    printer.one(desk.api.patch(_place(policy), labelled(options)))


@command(policy, "delete")
@click.argument("policy")
@yes_option
def policy_delete(desk: Desk, printer: Printer, policy: str, yes: bool) -> None:
    """Take away a policy that nobody uses; what it said stays in the audit."""
    confirm(f"Delete the policy {policy}?", yes)
    printer.one(desk.api.delete(_place(policy)))


@command(policy, "versions")
@click.argument("policy")
def policy_versions(desk: Desk, printer: Printer, policy: str) -> None:
    """Every version of a policy, newest first."""
    printer.many(desk.api.get(f"{_place(policy)}/versions")["items"], VERSION_COLUMNS)


@command(policy, "explain")
@click.argument("account")
@click.option("--from", "sender", help="The From address; the account's own otherwise.")
@click.option("--to", "recipients", multiple=True, help="A recipient; may be repeated.")
@click.option("--size", default="2 KiB", show_default=True)
@click.option("--stream")
@click.option("--credential", help="The app password it would be sent with, by its key id.")
def policy_explain(desk: Desk, printer: Printer, account: str, **options: Any) -> None:
    """The whole decision for a message that is not sent: limits with their documents, rules, shard, reply."""
    told = desk.api.post(at("/v1/accounts/{}/explain", account), options)
    if printer.as_json:
        printer.one(told)
    elif printer.quiet:
        click.echo(told["reply"] or "")
    else:
        click.echo(explanation(told))


@command(policy, "simulate")
@path_argument
@click.option("--workspace", required=True, help="Whose recorded mail is tried.")
@click.option("--days", type=click.FloatRange(min=0, max=400, min_open=True), default=30, show_default=True)
@click.option("--most", type=click.IntRange(1, 100_000), help="List at most so many messages.")
def policy_simulate(desk: Desk, printer: Printer, path: Path, **options: Any) -> None:
    """What changed documents would have made of recorded mail: what would have been refused or held."""
    files = read_documents(path, "policy-invalid", below=("plans",))
    found = desk.api.post("/v1/policies/simulate", {"files": files, **options})
    if printer.as_json:
        printer.one(found)
        return
    if printer.quiet:
        printer.many([{"id": one["message_id"]} for one in found["differences"]], ())
        return
    printer.one({name: found[name] for name in SIMULATED})
    printer.many(found["rules"], RULE_COLUMNS, "every message would have gone as it went")
    printer.many(found["accounts"], TOTAL_COLUMNS, "no account is concerned")
    printer.many(found["differences"], MESSAGE_COLUMNS, "no message is concerned")


def _place(reference: str) -> str:
    for prefix in _PLAN_PREFIXES:
        if reference.startswith(prefix):
            return at("/v1/plans/{}", reference.removeprefix(prefix))
    return at("/v1/policies/{}", reference)
