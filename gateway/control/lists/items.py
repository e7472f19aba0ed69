"""What may stand in a list of each kind, in the form in which rules compare it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.control.domains.names import parse_name
from gateway.control.errors import Invalid
from gateway.control.lookup import shown
from gateway.mail.address import AddressError, parse_mailbox

MOST_AT_ONCE = 1_000
MOST_IN_ALL = 100_000


def parse_items(kind: str, values: Iterable[str], *, fewest: int = 1) -> list[str]:
    """Entries, each once and sorted. Raises Invalid, naming the first that cannot stand there."""
    given = list(values)
    if not fewest <= len(given) <= MOST_AT_ONCE:
        raise Invalid(
            "bad-count",
            f"{len(given)} items were given.",
            f"Give {fewest} to {MOST_AT_ONCE} at once; add or remove the rest with further requests.",
        )
    return sorted({_item(kind, value.strip()) for value in given})


def _item(kind: str, value: str) -> str:
    if kind == "domain":
        return parse_name(value, what="item of a list of domains")
    if kind == "tld":
        return _top_level(value)
    try:
        return parse_mailbox(value, smtputf8=True).key.casefold()
    except AddressError as error:
        raise Invalid(
            "bad-address", f"{shown(value)} is no address: {error}.", "Give one such as bob@acme.com."
        ) from None


def _top_level(value: str) -> str:
    name = parse_name(value.removeprefix("."), what="top-level domain", fewest_labels=1)
    if "." in name:
        raise Invalid(
            "bad-top-level",
            f"{shown(value)} has more than one label.",
            "Give the last label alone, such as zip; a list of kind domain has whole names.",
        )
    return name
