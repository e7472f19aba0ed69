"""`domain`, `shard`, `source`, `dkim-key`: as whom mail leaves, and from where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.commands.tenancy import environment_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.output import Printer

DOMAIN_COLUMNS = ("name", "kind", "state", "environment", "tenant_id", "id")
WAITING_COLUMNS = ("address", "grant_id", "reason")
RECORD_COLUMNS = ("name", "type", "purpose", "state", "value")
SHARD_COLUMNS = ("name", "environment", "route", "state", "weight", "streams", "tenant_id", "id")
SOURCE_COLUMNS = ("name", "ipv4", "ipv6", "helo", "pool", "id")
KEY_COLUMNS = ("name", "algorithm", "bits", "state", "created_at", "id")


def add_to(root: click.Group) -> None:
    """Register the groups."""
    for group in (domain, shard, source, dkim_key):
        root.add_command(group)


@click.group()
def domain() -> None:
    """Domains that mail is sent from."""


@command(domain, "add")
@click.argument("domain")
@click.option("--tenant", required=True)
@environment_option
@label_options
def domain_add(desk: Desk, printer: Printer, domain: str, **options: Any) -> None:
    """Add a tenant's domain and make its keys; `domain records` says what to publish."""
    printer.one(desk.api.post("/v1/domains", labelled({"name": domain, **options})))
    printer.say(
        f"Publish what `gatepost domain records {domain}` lists, then `gatepost domain verify {domain}`."
    )


@command(domain, "add-trial")
@click.option("--tenant", required=True)
@environment_option
def domain_add_trial(desk: Desk, printer: Printer, **options: Any) -> None:
    """Give a tenant its trial name in an environment; it may send at once."""
    printer.one(desk.api.post("/v1/domains/trial", options))


@command(domain, "list")
@click.option("--tenant", help="Only this tenant's.")
def domain_list(desk: Desk, printer: Printer, tenant: str | None) -> None:
    """Domains."""
    printer.many(desk.api.list("/v1/domains", sort="name", tenant=tenant), DOMAIN_COLUMNS, "no domains")


@command(domain, "show")
@click.argument("domain")
def domain_show(desk: Desk, printer: Printer, domain: str) -> None:
    """One domain: its state, and what is missing."""
    printer.one(desk.api.get(at("/v1/domains/{}", domain)))


@command(domain, "update")
@click.argument("domain")
@click.option("--mode", type=click.Choice(["send", "send-receive"]))
@label_options
def domain_update(desk: Desk, printer: Printer, domain: str, **changes: Any) -> None:
    """Change whether a domain receives, or your own words for it."""
    printer.one(desk.api.patch(at("/v1/domains/{}", domain), labelled(changes)))


@command(domain, "records")
@click.argument("domain")
@click.option("--format", "form", type=click.Choice(["table", "bind", "json"]), default="table")
def domain_records(desk: Desk, printer: Printer, domain: str, form: str) -> None:
    """The DNS records to publish for a domain."""
    rows = desk.api.get(at("/v1/domains/{}/records", domain))["items"]
    if form == "bind" and not printer.as_json:
        for row in rows:
            print(bind_line(row))
    elif form == "json":
        print(json.dumps(rows, indent=2))
    else:
        printer.many(rows, RECORD_COLUMNS, "no records")


@command(domain, "promote")
@click.argument("domain")
def domain_promote(desk: Desk, printer: Printer, domain: str) -> None:
    """Give the accounts that wait for an active domain their addresses on it."""
    found = desk.api.post(at("/v1/domains/{}/promote", domain))
    if printer.as_json:
        printer.one(found)
        return
    rows = [{**row, "state": state} for state in ("promoted", "waiting") for row in found[state]]
    printer.many(rows, ("state", *WAITING_COLUMNS), "nobody waits for an address")


@command(domain, "waiting")
@click.argument("domain")
def domain_waiting(desk: Desk, printer: Printer, domain: str) -> None:
    """The addresses that accounts get once a domain is active."""
    rows = desk.api.get(at("/v1/domains/{}/waiting", domain))["items"]
    printer.many(rows, WAITING_COLUMNS, "nobody waits for an address")


@command(domain, "verify")
@click.argument("domain")
def domain_verify(desk: Desk, printer: Printer, domain: str) -> None:
    """Look at the domain's DNS now."""
    found = desk.api.post(at("/v1/domains/{}/verify", domain))
    if printer.as_json:
        printer.one(found["domain"] | {"records": found["records"]})
        return
    printer.one(found["domain"])
    printer.many(found["records"], (*RECORD_COLUMNS, "found"))


@command(domain, "mark-verified")
@click.argument("domain")
@click.option("--reason", required=True, help="Why it may be used without proof by DNS; goes into the audit.")
def domain_mark_verified(desk: Desk, printer: Printer, domain: str, reason: str) -> None:
    """Make a domain usable on the operator's word."""
    printer.one(desk.api.post(at("/v1/domains/{}/mark-verified", domain), {"reason": reason}))


@command(domain, "delete")
@click.argument("domain")
@click.option("--grace-seconds", type=click.IntRange(0), help="Instead of the configured time of grace.")
@yes_option
def domain_delete(desk: Desk, printer: Printer, domain: str, grace_seconds: int | None, yes: bool) -> None:
    """Send nothing more with a domain; it is released after its time of grace."""
    confirm(f"Delete the domain {domain}?", yes)
    printer.one(desk.api.delete(at("/v1/domains/{}", domain), grace_seconds=grace_seconds))


@command(domain, "restore")
@click.argument("domain")
def domain_restore(desk: Desk, printer: Printer, domain: str) -> None:
    """Have a domain back that is in its time of grace."""
    printer.one(desk.api.post(at("/v1/domains/{}/restore", domain)))


def bind_line(row: dict[str, Any]) -> str:
    """A record as a zone file has it; long texts are split into strings of 255 octets."""
    value = row["value"]
    if row["type"] == "TXT":
        pieces = [value[start : start + 255] for start in range(0, len(value), 255)] or [""]
        value = " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
        value = f"( {value} )" if len(pieces) > 1 else value
    return f"{row['name'].rstrip('.')}. 3600 IN {row['type']} {value}"


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
    """Create a shard; NAME is its full domain name."""
    printer.one(desk.api.post("/v1/shards", labelled({"name": name, **options})))


@command(shard, "list")
@click.option("--tenant", help="Only this tenant's.")
def shard_list(desk: Desk, printer: Printer, tenant: str | None) -> None:
    """Shards."""
    printer.many(desk.api.list("/v1/shards", sort="name", tenant=tenant), SHARD_COLUMNS, "no shards")


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
def source_list(desk: Desk, printer: Printer) -> None:
    """Source addresses."""
    rows = desk.api.list("/v1/source-addresses", sort="name")
    printer.many(rows, SOURCE_COLUMNS, "no source addresses")


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
    """Make a successor for each active key of a domain."""
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
@click.option("--domain", help="Only this domain's.")
def dkim_key_list(desk: Desk, printer: Printer, domain: str | None) -> None:
    """Keys, never their private halves."""
    printer.many(desk.api.list("/v1/dkim-keys", domain=domain), KEY_COLUMNS, "no keys")


@command(dkim_key, "show")
@click.argument("key")
def dkim_key_show(desk: Desk, printer: Printer, key: str) -> None:
    """One key and its DNS record."""
    printer.one(desk.api.get(at("/v1/dkim-keys/{}", key)))
