"""Which names can be a tenant's domain: their form, and what is everybody's or the platform's."""

from __future__ import annotations

import ipaddress
import re

import idna

from gateway.control.domains.lookalikes import deception
from gateway.control.errors import Invalid
from gateway.control.lookup import shown
from gateway.mail.idna import DomainError, to_ascii
from gateway.mail.publicsuffix import packaged_suffixes

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_LONGEST_NAME = 253
_LONGEST_LABEL = 63


def parse_name(text: str, *, what: str = "domain", fewest_labels: int = 2) -> str:
    """A full name in lower-case A-labels. Raises Invalid with the reason (RFC 1035 §2.3.1, RFC 5891)."""
    problem = _problem_before(text)
    if problem is not None:
        raise _refused(text, what, problem)
    try:
        name = to_ascii(text)
    except DomainError as error:
        raise _refused(text, what, str(error)) from None
    problem = _problem(name, fewest_labels)
    if problem is not None:
        raise _refused(text, what, problem)
    return name


def is_public(name: str) -> bool:
    """Whether everybody can register names directly below this one (com, co.uk, github.io)."""
    return bool(packaged_suffixes().is_public(name))


def registrable(name: str) -> str:
    """The name that somebody registered, and that has a zone as a rule: acme.co.uk of a.acme.co.uk."""
    return str(packaged_suffixes().privatesuffix(name) or name)


def is_below(name: str, parent: str) -> bool:
    """Whether `name` is `parent` or lies under it."""
    return name == parent or name.endswith("." + parent)


def parents(name: str) -> list[str]:
    """The name and every name it lies under, the longest first: a.b.c gives a.b.c, b.c, c."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def unicode_name(name: str) -> str:
    """The name as people write it; unchanged where it has no such form."""
    try:
        return idna.decode(name) if "xn--" in name else name
    except idna.IDNAError:
        return name


def _problem_before(text: str) -> str | None:
    """What is wrong with the name as it was written."""
    if not text:
        return "it is empty"
    if "@" in text:
        return "it is an address; give what stands after the @"
    if any(character.isspace() for character in text):
        return "it has a space in it"
    if "://" in text or "/" in text:
        return "it is a URL; give the name alone"
    if text.endswith("."):
        return "it ends with a dot; leave that out"
    if text.startswith(".") or ".." in text:
        return "it has an empty label"
    if "*" in text:
        return "wildcards cannot be proved; add each name"
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    return "it is an IP address, not a name"


def _problem(name: str, fewest_labels: int) -> str | None:
    """What is wrong with a name in A-labels."""
    if len(name) > _LONGEST_NAME:
        return f"it has {len(name)} octets; names end at {_LONGEST_NAME}"
    labels = name.split(".")
    for label in labels:
        if len(label) > _LONGEST_LABEL:
            return f"the label {label[:20]}... has {len(label)} octets; labels end at {_LONGEST_LABEL}"
        if not _LABEL.fullmatch(label):
            return f"the label {label!r} may only have letters, digits and hyphens inside"
        if label[2:4] == "--":
            problem = _encoded_problem(label, labels[-1])
            if problem is not None:
                return problem
    if labels[-1].isdigit():
        return "its last label is a number"
    if len(labels) < fewest_labels:
        return "it has one label only; a full name has two at least"
    return None


def _encoded_problem(label: str, top: str) -> str | None:
    if not label.startswith("xn--"):
        return f"the label {label!r} has hyphens where only encoded labels have them"
    try:
        decoded = idna.decode(label)
    except idna.IDNAError:
        return f"the label {label!r} encodes no valid name"
    return deception(decoded, unicode_name(top))


def _refused(text: str, what: str, problem: str) -> Invalid:
    return Invalid(
        "bad-domain-name",
        f"{shown(text)} cannot be a {what}: {problem}.",
        "Give a full name such as acme.com or mail.acme.com.",
    )
