"""`shard`, `source`, `dkim-key`: as whom mail leaves, and from where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.commands.domains import print_records
from gateway.faces.cli.commands.tenancy import environment_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import NAMED, list_options
from gateway.faces.cli.output import Printer

SHARD_COLUMNS = ("name", "environment", "route", "state", "weight", "streams", "tenant_id", "id")
SOURCE_COLUMNS = ("name", "ipv4", "ipv6", "helo", "pool", "state", "plans", "id")
KEY_COLUMNS = ("name", "algorithm", "bits", "state", "created_at", "id")


def add_to(root: click.Group) -> None:
    """Register the groups."""
    for group in (shard, source, dkim_key):
        root.add_command(group)


@click.group()
def shard() -> None:
    """Sending sub-domains."""


@command(shard, "create")
@click.argument("name")
@click.option("--tenant", required=True)
@environment_option
@click.option("--route", help="mx, smtp://host[:port], smtps://host[:port], capture: or capture:/folder")
@click.option("--stream", "streams", multiple=True, help="Only this stream of mail; may be repeated.")
@click.option("--weight", type=click.IntRange(1), default=1, show_default=True)
@label_options
def shard_create(desk: Desk, printer: Printer, name: str, **options: Any) -> None:
    """Create a shard; NAME is its full domain name. Shows the records it needs."""
    made = desk.api.post("/v1/shards", labelled({"name": name, **options}))
    printer.one(made)
    if made["domain"] is None or printer.as_json or printer.quiet:
        return
    rows = desk.api.get(at("/v1/domains/{}/records", made["domain"]))["items"]
    its_own = [row for row in rows if f".{row['name']}".endswith(f".{made['name']}")]
    printer.say("\nIt is found, and its mail passes SPF, with these records:\n")
    print_records(printer, its_own)


@command(shard, "list")
@list_options("name", "tenant", "domain", "environment", "state", "client_id", sorts=NAMED, by="name")
def shard_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """Shards."""
    printer.many(desk.api.list("/v1/shards", **query), SHARD_COLUMNS, "no shards")


@command(shard, "show")
@click.argument("shard")
def shard_show(desk: Desk, printer: Printer, shard: str) -> None:
    """One shard."""
    printer.one(desk.api.get(at("/v1/shards/{}", shard)))


@command(shard, "update")
@click.argument("shard")
@click.option("--weight", type=click.IntRange(1))
@click.option("--stream", "streams", multiple=True, help="Replaces its streams; may be repeated.")
@click.option("--sign/--no-sign", default=None, help="Add a signature of its own.")
@click.option("--pool", help="Send from an address of this pool.")
@label_options
def shard_update(desk: Desk, printer: Printer, shard: str, streams: tuple[str, ...], **changes: Any) -> None:
    """Change a shard's weight, streams, signature or pool."""
    body = labelled({"streams": streams or None, **changes})
    printer.one(desk.api.patch(at("/v1/shards/{}", shard), body))


@command(shard, "route")
@click.argument("shard")
@click.argument("url")
def shard_route(desk: Desk, printer: Printer, shard: str, url: str) -> None:
    """Send a shard's mail another way. A password in the URL is sealed and never shown."""
    printer.one(desk.api.post(at("/v1/shards/{}/route", shard), {"route": url}))


@command(shard, "pause")
@click.argument("shard")
def shard_pause(desk: Desk, printer: Printer, shard: str) -> None:
    """Let a shard's mail wait."""
    printer.one(desk.api.post(at("/v1/shards/{}/pause", shard)))


@command(shard, "resume")
@click.argument("shard")
def shard_resume(desk: Desk, printer: Printer, shard: str) -> None:
    """Let a paused shard's mail go on."""
    printer.one(desk.api.post(at("/v1/shards/{}/resume", shard)))


@command(shard, "retire")
@click.argument("shard")
@yes_option
def shard_retire(desk: Desk, printer: Printer, shard: str, yes: bool) -> None:
    """Give a shard no new mail, for ever; what is queued still leaves through it."""
    confirm(f"Retire {shard} for ever?", yes)
    printer.one(desk.api.post(at("/v1/shards/{}/retire", shard)))


@click.group()
def source() -> None:
    """Addresses the platform sends from."""


@command(source, "create")
@click.argument("helo")
@click.option("--ipv4")
@click.option("--ipv6")
@click.option("--pool", default="default", show_default=True)
@click.option("--plan", "plans", multiple=True, help="Only for tenants on this plan; may be repeated.")
@label_options
def source_create(desk: Desk, printer: Printer, helo: str, **options: Any) -> None:
    """Add a source address; HELO is the name that its PTR record shows."""
    printer.one(desk.api.post("/v1/source-addresses", labelled({"helo": helo, **options})))


@command(source, "list")
@list_options("name", "pool", "state", "client_id", sorts=NAMED, by="name")
def source_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """Source addresses."""
    printer.many(desk.api.list("/v1/source-addresses", **query), SOURCE_COLUMNS, "no source addresses")


@command(source, "show")
@click.argument("source")
def source_show(desk: Desk, printer: Printer, source: str) -> None:
    """One source address."""
    printer.one(desk.api.get(at("/v1/source-addresses/{}", source)))


@command(source, "update")
@click.argument("source")
@click.option("--pool")
@click.option("--plan", "plans", multiple=True, help="Replaces its plans; may be repeated.")
@label_options
def source_update(desk: Desk, printer: Printer, source: str, plans: tuple[str, ...], **changes: Any) -> None:
    """Change an address's pool or the plans that may use it; shards that send from it go on."""
    body = labelled({"plans": plans or None, **changes})
    printer.one(desk.api.patch(at("/v1/source-addresses/{}", source), body))


@command(source, "retire")
@click.argument("source")
@yes_option
def source_retire(desk: Desk, printer: Printer, source: str, yes: bool) -> None:
    """Take an address from its shards, which choose another."""
    confirm(f"Retire {source} for ever?", yes)
    printer.one(desk.api.post(at("/v1/source-addresses/{}/retire", source)))


@click.group("dkim-key")
def dkim_key() -> None:
    """Keys that sign."""


@command(dkim_key, "create")
@click.argument("domain")
@click.option("--algorithm", type=click.Choice(["rsa", "ed25519"]), default="rsa", show_default=True)
@click.option("--bits", type=click.Choice(["2048", "4096"]), default="2048", show_default=True)
def dkim_key_create(desk: Desk, printer: Printer, domain: str, algorithm: str, bits: str) -> None:
    """Make a key for a domain."""
    body = {"domain": domain, "algorithm": algorithm, "bits": int(bits)}
    printer.one(desk.api.post("/v1/dkim-keys", body))


@command(dkim_key, "import")
@click.argument("domain")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--selector", help="The selector it is published under.")
def dkim_key_import(desk: Desk, printer: Printer, domain: str, file: Path, selector: str | None) -> None:
    """Take an existing private key (PEM)."""
    body = {"domain": domain, "pem": file.read_text("ascii", "replace"), "selector": selector}
    printer.one(desk.api.post("/v1/dkim-keys/import", body))


@command(dkim_key, "rotate")
@click.argument("domain")
def dkim_key_rotate(desk: Desk, printer: Printer, domain: str) -> None:
    """Make a successor for each active key of a domain or a shard, or name the one that waits."""
    printer.many(desk.api.post("/v1/dkim-keys/rotate", {"domain": domain})["items"], KEY_COLUMNS)


@command(dkim_key, "update")
@click.argument("key")
@label_options
def dkim_key_update(desk: Desk, printer: Printer, key: str, **changes: Any) -> None:
    """Change your own words for a key."""
    printer.one(desk.api.patch(at("/v1/dkim-keys/{}", key), labelled(changes)))


@command(dkim_key, "activate")
@click.argument("key")
def dkim_key_activate(desk: Desk, printer: Printer, key: str) -> None:
    """Sign with a pending key from now on: its record is published."""
    printer.one(desk.api.post(at("/v1/dkim-keys/{}/activate", key)))


@command(dkim_key, "revoke")
@click.argument("key")
@yes_option
def dkim_key_revoke(desk: Desk, printer: Printer, key: str, yes: bool) -> None:
    """Never sign with a key again; queued mail is signed anew."""
    confirm(f"Revoke {key} for ever?", yes)
    printer.one(desk.api.post(at("/v1/dkim-keys/{}/revoke", key)))


@command(dkim_key, "list")
@list_options(
    *("domain", "tenant", "state", "algorithm", "selector", "client_id"), sorts=("domain", "created_at")
)
def dkim_key_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """Keys, never their private halves."""
    printer.many(desk.api.list("/v1/dkim-keys", **query), KEY_COLUMNS, "no keys")


@command(dkim_key, "show")
@click.argument("key")
def dkim_key_show(desk: Desk, printer: Printer, key: str) -> None:
    """One key and its DNS record."""
    printer.one(desk.api.get(at("/v1/dkim-keys/{}", key)))
