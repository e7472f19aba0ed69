"""Whose names may stand on a message: reverse-path, From, Sender and the Resent fields (RFC 5322 §3.6).

Where mail readers could disagree on who wrote a message, it is refused: exactly one From field, addresses
only in forms that are read in one way, every one of them an identity of the account that is signed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.mail.address import AddressError, parse_mailbox, parse_mailbox_list
from gateway.mail.reply import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.control.records import Identity
    from gateway.mail.address import Mailbox
    from gateway.mail.headers import Field
    from gateway.outgoing.policy.values import DomainLookup, FieldsByName

_OTHER_SENDERS = (b"sender", b"resent-from", b"resent-sender")
_RESENT = ((b"resent-from", "Resent-From"), (b"resent-sender", "Resent-Sender"))


def check_reverse_path(reverse_path: Mailbox | None, identity: Identity) -> None:
    """The reverse-path is an identity of the account. `<>` is: reports and automatic replies have it.

    Raises Refusal.
    """
    if reverse_path is not None and not is_identity(reverse_path, identity):
        raise _not_identity("MAIL FROM", reverse_path, identity, "sender.identity")


def check_from_header(fields: FieldsByName, identity: Identity, *, smtputf8: bool) -> tuple[Mailbox, ...]:
    """Every author and sender field names identities of the account only; returns all they name.

    The first is the From mailbox (the first of several: they have one domain), whose domain signs.
    Raises Refusal, whose rule says what is wrong.
    """
    found_from = fields.get(b"from", ())
    if len(found_from) != 1:
        found = f"has {len(found_from)} From fields" if found_from else "has no From field"
        raise _refuse(f"the message {found}; exactly one is needed", "from.one-field")
    authors = _read(found_from[0], "From", smtputf8)
    for author in authors:
        if not is_identity(author, identity):
            raise _not_identity("From", author, identity, "from.identity")
    if len(authors) == 1 and fields.keys().isdisjoint(_OTHER_SENDERS):
        return authors
    named = [*authors, *_check_sender(fields, authors, identity, smtputf8)]
    for key, name in _RESENT:
        for field in fields.get(key, ()):
            named += _check_all(_read(field, name, smtputf8), name, identity)
    return tuple(named)


def check_domains(mailboxes: Iterable[Mailbox], identity: Identity, domains: DomainLookup) -> None:
    """Each domain is proved to be the tenant's, in the environment of the workspace. Raises Refusal."""
    for name in dict.fromkeys(mailbox.domain_key for mailbox in mailboxes):
        _check_domain(name, identity, domains)


def is_identity(mailbox: Mailbox, identity: Identity) -> bool:
    """Whether the account may call itself so: its address, an alias, or (by policy) its whole domain."""
    account = identity.account
    key = mailbox.key
    # Nearly every message ends here. A quoted local part is written in more than one way.
    if key == account.address and '"' not in key:
        return True
    own = parse_mailbox(account.address, smtputf8=True)
    if key == own.key:
        return True
    if identity.policy.sender.scope == "domain" and mailbox.domain_key == own.domain_key:
        return True
    return any(key == parse_mailbox(alias, smtputf8=True).key for alias in account.aliases)


def _check_sender(
    fields: FieldsByName, authors: tuple[Mailbox, ...], identity: Identity, smtputf8: bool
) -> tuple[Mailbox, ...]:
    senders = fields.get(b"sender", ())
    if len(senders) > 1:
        message = f"the message has {len(senders)} Sender fields; at most one is allowed"
        raise _refuse(message, "sender-field.one-field")
    named: tuple[Mailbox, ...] = ()
    if senders:
        named = _read(senders[0], "Sender", smtputf8)
        if len(named) > 1:
            raise _refuse(
                "the Sender field names several addresses; it names one", "sender-field.one-address"
            )
        _check_all(named, "Sender", identity)
    if len(authors) > 1:
        if not senders:
            raise _refuse(
                "From names several addresses without a Sender field that says which of them sends",
                "from.several-without-sender",
            )
        if len({author.domain_key for author in authors}) > 1:
            message = "the addresses in From are of several domains; a message is signed for one"
            raise _refuse(message, "from.several-domains")
    return named


def _check_all(mailboxes: tuple[Mailbox, ...], name: str, identity: Identity) -> tuple[Mailbox, ...]:
    for mailbox in mailboxes:
        if not is_identity(mailbox, identity):
            rule = "sender-field" if name == "Sender" else name.lower()
            raise _not_identity(name, mailbox, identity, f"{rule}.identity")
    return mailboxes


def _read(field: Field, name: str, smtputf8: bool) -> tuple[Mailbox, ...]:
    rule = "sender-field" if name == "Sender" else name.lower()
    if field.raw[len(field.name) : len(field.name) + 1] != b":":
        # RFC 5322 §4.5 calls it obsolete; some readers do not take it for the field at all.
        raise _refuse(f"white space stands before the colon of {name}", f"{rule}.colon")
    try:
        mailboxes = parse_mailbox_list(field.value)
    except AddressError as error:
        raise _refuse(f"{name}: {error}", f"{rule}.{error.rule}") from error
    for mailbox in mailboxes:
        if not smtputf8 and not mailbox.is_ascii:
            message = f"{name} has an address that is not ASCII; say SMTPUTF8 in MAIL FROM"
            raise Refusal(Reply(550, "5.6.7", message), f"{rule}.not-ascii")
    return mailboxes


def _check_domain(name: str, identity: Identity, domains: DomainLookup) -> None:
    environment = identity.workspace.environment
    claims = [claim for claim in domains(name) if claim.tenant_id == identity.tenant.id]
    here = [claim for claim in claims if claim.environment == environment]
    if any(claim.may_send for claim in here):
        return
    if here:
        detail = (
            f"the domain {name} may not send yet, it is {here[0].state}; "
            f"`gatepost domain records {name}` shows what is missing"
        )
    elif claims:
        detail = (
            f"the domain {name} is in environment {claims[0].environment}, this account in {environment}; "
            f"`gatepost domain show {name}` shows it"
        )
    else:
        # The same for a domain nobody has and for another tenant's.
        detail = (
            f"{name} is not a verified domain of this organisation; "
            f"`gatepost domain show {name}` shows what is missing"
        )
    raise _refuse(detail, "domain.verified")


def _not_identity(where: str, mailbox: Mailbox, identity: Identity, rule: str) -> Refusal:
    allowed = "its address, its aliases"
    if identity.policy.sender.scope == "domain":
        allowed += " and its domain"
    return _refuse(f"{where} {mailbox} is not an identity of this account ({allowed})", rule)


def _refuse(text: str, rule: str) -> Refusal:
    return Refusal(Reply(550, "5.7.1", f"{text} (rule {rule})"), rule)
