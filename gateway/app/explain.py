"""`policy explain`: the whole decision for a message that is not sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.app.desk import OpenedDesk
from gateway.app.parts import Ground
from gateway.app.sending import ceilings
from gateway.app.window import ControlWindow
from gateway.control.accounts.view import AccountView
from gateway.control.directory import Directory, Refused, RefusedReason
from gateway.control.errors import Invalid
from gateway.control.records import Actor, Identity
from gateway.edges.submission.standing import standing_reply
from gateway.faces.api.explained import Explained, Way
from gateway.mail.address import AddressError, Mailbox, parse_mailbox
from gateway.mail.reply import Reply
from gateway.outgoing.policy import Decision, Step
from gateway.outgoing.policy import explain as explain_policy
from gateway.outgoing.quota import charges_for
from gateway.outgoing.shards import choose_shard
from gateway.system.config import parse_size

_ACCEPTED = Reply(250, "2.0.0", "queued as <ID>")
_HELD = Reply(250, "2.0.0", "queued as <ID> held")
_UNKNOWN = Refused(RefusedReason.UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Message:
    """The message that is not sent; `size` in octets."""

    sender: Mailbox
    recipients: tuple[Mailbox, ...]
    size: int
    stream: str | None


def explain(
    desk: OpenedDesk,
    actor: Actor,
    account: str,
    *,
    sender: str | None = None,
    recipients: Sequence[str] = (),
    size: str = "2 KiB",
    stream: str | None = None,
    credential: str | None = None,
) -> Explained:
    """Work out what would become of a message of `account`. Raises NotFound, Invalid.

    `credential`: the app password it would be sent with, by key id or id; without one any that is valid.
    """
    found = desk.services.accounts.show(actor, account)
    password = _password(desk, actor, found, credential)
    ground = desk.ground
    directory = Directory(ground.control, clock=ground.clock)
    try:
        directory.refresh()
        identity, refused = asyncio.run(_standing(directory, found.id, password))
        if identity is None:
            raise Invalid(
                "account-refused",
                f"Nothing can be said of {found.address} now: {(refused or _UNKNOWN).reason.value}.",
                f"Try again; `gatepost account show {found.address}` has its switches and status.",
            )
        message = _Message(
            sender=_mailbox(sender or identity.account.address),
            recipients=tuple(_mailbox(address) for address in recipients or ("someone@example.org",)),
            size=_octets(size),
            stream=stream,
        )
        return _explained(ground, ControlWindow(directory), identity, refused, message)
    finally:
        directory.stop()


async def _standing(
    directory: Directory, account_id: str, password: str | None
) -> tuple[Identity | None, Refused | None]:
    """Who would send, and why not: a password that was revoked is spoken of by its account."""
    protocol = None if password is None else "smtp"
    identity, refused = await directory.standing(account_id, password, protocol)
    if identity is None and password is not None:
        identity, _ = await directory.standing(account_id, None)
    return identity, refused


def _password(desk: OpenedDesk, actor: Actor, account: AccountView, reference: str | None) -> str | None:
    """The id of an account's app password. Raises NotFound, Invalid (it is another account's)."""
    if reference is None:
        return None
    found = desk.services.credentials.show(actor, reference)
    if found.account_id != account.id:
        raise Invalid(
            "other-account",
            f"The app password {reference} is not one of {account.address}.",
            f"`gatepost app-password list {account.address}` shows those it has.",
        )
    return found.id


def _explained(
    ground: Ground, window: ControlWindow, identity: Identity, refused: Refused | None, message: _Message
) -> Explained:
    answer = explain_policy(
        identity,
        window.claims,
        sender=message.sender,
        recipients=message.recipients,
        size=message.size,
        at=ground.clock.now(),
        ceilings=ceilings(ground.config),
        stream=message.stream,
    )
    decision = answer.decision
    stands = _standing_step(refused)
    stream = decision.options.stream
    return Explained(
        account=identity.account.address,
        credential=_key_id(identity),
        tenant=identity.tenant.name,
        plan=identity.tenant.plan,
        workspace=identity.workspace.name,
        environment=identity.workspace.environment,
        location=identity.workspace.location,
        policy=identity.policy.name,
        policy_version=identity.policy.version,
        reply=str(_reply(decision) if refused is None else standing_reply(refused)),
        rule=decision.rule if refused is None else stands.rule,
        stream=stream,
        values=tuple(answer.values),
        steps=(stands, *decision.steps),
        charges=tuple(_charges(identity, len(message.recipients))),
        ways=tuple(_way(ground, window, identity, message.sender, to, stream) for to in message.recipients),
        selectors=tuple(_selectors(window, identity, message.sender)),
    )


def _standing_step(refused: Refused | None) -> Step:
    if refused is None:
        return Step("sign-in", "passed")
    return Step("sign-in", "refused", refused.reason.value.replace("_", " "))


def _reply(decision: Decision) -> Reply:
    return decision.reply or (_HELD if decision.action == "hold" else _ACCEPTED)


def _selectors(window: ControlWindow, identity: Identity, author: Mailbox) -> Iterator[str]:
    for key in window.keys_of(author.domain_key):
        if key.state == "active" and key.tenant_id == identity.tenant.id:
            yield f"{key.selector}._domainkey.{key.domain} ({key.algorithm})"


def _key_id(identity: Identity) -> str | None:
    credential = identity.credential
    return None if credential is None else credential.key_id or credential.id


def _charges(identity: Identity, recipients: int) -> Iterator[str]:
    for charge in charges_for(identity, recipients):
        yield (
            f"{charge.amount} of {charge.limit} {charge.metric.replace('_', ' ')} a {charge.window} "
            f"of the {charge.scope} ({charge.document})"
        )


def _way(
    ground: Ground, window: ControlWindow, identity: Identity, author: Mailbox, to: Mailbox, stream: str
) -> Way:
    shard = choose_shard(
        window.shards_of(identity.tenant.id, identity.workspace.environment),
        from_domain=author.domain_key,
        stream=stream,
        recipient_domain=to.domain_key,
        organisational_domain=ground.organisations.domain,
        own_only=any(claim.kind == "trial" for claim in window.claims(author.domain_key)),
    )
    if shard is None:
        return Way(str(to), None, None, None, None)
    source = shard.source.helo if shard.source is not None else None
    return Way(str(to), shard.name, shard.route, shard.state, source)


def _octets(size: str) -> int:
    try:
        return parse_size(size)
    except ValueError as error:
        raise Invalid("bad-size", f"{error}.", "Write it as documents do, such as 2 KiB.") from None


def _mailbox(text: str) -> Mailbox:
    try:
        return parse_mailbox(text, smtputf8=True)
    except AddressError as error:
        raise Invalid(
            "bad-address", f"{text!r} is no address: {error}.", "Write it as local@domain."
        ) from None
