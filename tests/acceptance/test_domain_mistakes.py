"""The mistakes that people make in DNS panels: each is named by its hint, and mended by the right record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.gateway import wait_until
from tests.support.nameservers import Authority, LocalResolver
from tests.support.zones import PATIENCE_SECONDS, Row, Zones, served

Wrong = Mapping[tuple[str, str], Sequence[str]]
"""What is put instead: from names and types to values in master-file form."""

ZONE = "acme.test"


@pytest.fixture(scope="module")
def zones(
    authority: Authority, resolver: LocalResolver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Zones]:
    """A gateway that serves."""
    with served(tmp_path_factory.mktemp("mistakes"), authority, resolver) as running:
        yield running


@pytest.fixture(scope="module")
def pem() -> str:
    """A customer's own key, whose record is a text in the customer's zone."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


@dataclass(frozen=True)
class Mistake:
    """Of which record (purpose, type), what stands there instead, and what the hint must say."""

    record: tuple[str, str]
    instead: Callable[[Row], Wrong]
    hint: str
    state: str = "invalid"


def text(value: str) -> str:
    """A TXT value in master-file form, with whatever quotes are in it."""
    pieces = [value[start : start + 255] for start in range(0, len(value), 255)]
    return " ".join('"' + piece.replace('"', '\\"') + '"' for piece in pieces)


def here(row: Row, *values: str, kind: str | None = None) -> Wrong:
    """At the right name."""
    return {(row["name"], kind or row["type"]): values}


def _key_with_spaces(row: Row) -> Wrong:
    value = row["value"]
    return here(row, text(f"{value[:100]} {value[100:200]}  {value[200:]}"))


def _through_an_alias(row: Row) -> Wrong:
    return {
        ("in.acme.test", "CNAME"): ("mail.gatepost.test.",),
        (row["name"], "MX"): ("10 in.acme.test.",),
    }


PROOF, KEY, ALIAS, MX = ("ownership", "TXT"), ("dkim", "TXT"), ("dkim", "CNAME"), ("mx", "MX")
MISTAKES = {
    "doubled-name": Mistake(
        PROOF,
        lambda row: {(f"{row['name']}.{ZONE}", "TXT"): (text(row["value"]),)},
        "the panel adds acme.test by itself",
        "missing",
    ),
    "wrong-zone": Mistake(
        PROOF,
        lambda row: {(f"_gatepost-challenge.{ZONE}", "TXT"): (text(row["value"]),)},
        "The record is at _gatepost-challenge.acme.test, the wrong place",
        "missing",
    ),
    "quotes-in-the-key": Mistake(KEY, lambda row: here(row, text(f'"{row["value"]}"')), "quotes"),
    "spaces-in-the-key": Mistake(KEY, _key_with_spaces, "White space stands inside the key", "valid"),
    "split-key": Mistake(
        KEY,
        lambda row: here(row, text(row["value"][:200]), text(row["value"][200:])),
        "The key is split over 2 records",
    ),
    "truncated-key": Mistake(
        KEY, lambda row: here(row, text(row["value"][:255])), "The key is cut off after"
    ),
    "beside-another-record": Mistake(
        ALIAS,
        lambda row: here(row, text("v=DKIM1; p="), kind="TXT"),
        "No CNAME can stand beside it",
        "missing",
    ),
    "proxied-alias": Mistake(
        ALIAS, lambda row: here(row, "192.0.2.80", kind="A"), "it is proxied", "missing"
    ),
    "mx-to-an-address": Mistake(
        MX, lambda row: here(row, "10 192.0.2.25."), "The MX points at the address 192.0.2.25"
    ),
    "mx-to-an-alias": Mistake(MX, _through_an_alias, "The MX points at in.acme.test, which is a CNAME"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_its_hint_until_the_record_is_right(zones: Zones, pem: str, name: str) -> None:
    mistake, domain = MISTAKES[name], f"{name}.{ZONE}"
    zones.add(domain, "send-receive")
    if mistake.record == KEY:
        zones.call("POST", "/dkim-keys/import", {"domain": domain, "pem": pem, "selector": "own"})
    row = _expected(zones.records(domain), mistake)
    wrong = mistake.instead(row)
    for (owner, kind), values in wrong.items():
        zones.authority.put(owner, kind, *values)
    found = _expected(zones.verify(domain)["records"], mistake)
    assert (found["state"], mistake.hint in (found["hint"] or "")) == (mistake.state, True), (
        found["hint"],
        found["found"],
    )
    for owner, kind in wrong:
        zones.authority.put(owner, kind)
    zones.publish(row)
    assert _expected(zones.verify(domain)["records"], mistake)["state"] == "valid"
    zones.call("DELETE", f"/domains/{domain}?grace_seconds=0")


def _expected(rows: Sequence[Row], mistake: Mistake) -> Row:
    """The one record of the customer's that nothing works without."""
    purpose, kind = mistake.record
    [found] = [
        row
        for row in rows
        if (row["purpose"], row["type"], row["required"], row["publisher"])
        == (purpose, kind, True, "customer")
    ]
    return found


def test_two_spf_records_are_told_of_though_they_are_the_customers_own(zones: Zones) -> None:
    domain = f"two-spf.{ZONE}"
    zones.add(domain)
    zones.authority.put(domain, "TXT", "v=spf1 mx -all", "v=spf1 include:_spf.example.org ~all")
    [remark] = zones.verify(domain)["remarks"]
    assert "There are 2 SPF records" in remark
    zones.authority.put(domain, "TXT", "v=spf1 mx include:_spf.example.org ~all")
    wait_until(lambda: len(zones.texts(domain)) == 1, PATIENCE_SECONDS, "the resolver's sight of one")
    assert zones.verify(domain)["remarks"] == []
