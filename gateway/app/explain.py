"""`policy explain`: the whole decision for a message that is not sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.app import obstacles
from gateway.app.desk import OpenedDesk
from gateway.app.parts import Ground
from gateway.app.sending import ceilings
from gateway.app.window import ControlWindow
from gateway.control.accounts.view import AccountView
from gateway.control.directory import Directory, Refused, RefusedReason
from gateway.control.errors import Invalid, Unavailable
from gateway.control.lookup import shown
from gateway.control.records import Actor, Identity, KeyRecord, ShardRecord
from gateway.faces.api.explained import Explained, Way
from gateway.mail.address import AddressError, Mailbox, parse_mailbox
from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.policy import Step, stream_name
from gateway.outgoing.policy import explain as explain_policy
from gateway.outgoing.quota import charges_for
from gateway.outgoing.quota.counters import Key, keys_of
from gateway.outgoing.quota.reading import read_counters
from gateway.outgoing.shards import choose_shard
from gateway.system.config import parse_size
from gateway.system.database import DatabaseAway

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
            stream=_stream(stream),
        )
        return _Case(ground, ControlWindow(directory), identity, message).explained(refused)
    finally:
        directory.stop()


async def _standing(
    directory: Directory, account_id: str, password: str | None
) -> tuple[Identity | None, Refused | None]:
    """Who would send, and why not: a password that was revoked is spoken of by its account."""
    identity, refused = await directory.standing(account_id, password, "smtp")
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


class _Case:
    """One message that is not sent, with all that is asked about it."""

    def __init__(self, ground: Ground, window: ControlWindow, identity: Identity, message: _Message) -> None:
        self._ground = ground
        self._window = window
        self._identity = identity
        self._message = message
        self._now = ground.clock.now()
        self._answer = explain_policy(
            identity,
            window.claims,
            sender=message.sender,
            recipients=message.recipients,
            size=message.size,
            at=self._now,
            ceilings=ceilings(ground.config),
            stream=message.stream,
        )
        self._charges = charges_for(identity, len(message.recipients))
        self._counters = self._read_counters()
        self._keys = [key for key in window.keys_of(message.sender.domain_key) if self._signs(key)]
        self._shards = [self._shard(to) for to in message.recipients]

    def explained(self, refused: Refused | None) -> Explained:
        """All of it; `refused`: why its sender may not act."""
        identity, decision = self._identity, self._answer.decision
        reply, rule, steps = self._verdict(refused)
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
            reply=str(reply),
            rule=rule,
            stream=decision.options.stream,
            values=tuple(self._answer.values),
            steps=steps,
            charges=tuple(self._told_charges()),
            ways=tuple(map(_way, self._message.recipients, self._shards)),
            selectors=tuple(
                f"{key.selector}._domainkey.{key.domain} ({key.algorithm})" for key in self._keys
            ),
        )

    def _verdict(self, refused: Refused | None) -> tuple[Reply, str, tuple[Step, ...]]:
        """The reply that a client would have first, the rule that gives it, and every question."""
        decision = self._answer.decision
        before = (
            obstacles.sign_in(refused),
            obstacles.installation_size(self._message.size, self._ground.config.limits.message_bytes),
        )
        new = len(self._message.recipients)
        quota = obstacles.quota(self._charges, self._counters, new, self._now)
        after = (
            obstacles.signature(self._message.sender.domain_key, self._keys),
            obstacles.way_out(self._shards, self._identity.workspace.environment),
        )
        policy = obstacles.Checked(Step(decision.rule, "refused"), decision.reply)
        middle = (policy, quota) if obstacles.is_early(decision) else (quota, policy)
        steps = (*(one.step for one in before), *decision.steps, quota.step, *(one.step for one in after))
        for one in (*before, *middle, *after):
            if one.reply is not None:
                return one.reply, one.step.rule, steps
        return (_HELD if decision.action == "hold" else _ACCEPTED), decision.rule, steps

    def _read_counters(self) -> dict[Key, int]:
        """What the counters stand at. Raises Unavailable."""
        name = self._identity.workspace.location
        try:
            with self._ground.locations[name].read() as connection:
                return read_counters(connection, keys_of(self._charges, self._now, self._now))
        except DatabaseAway as error:
            raise Unavailable(
                "location-away",
                f"The counters of location {name} cannot be read: {error}.",
                "Start the database, or see `gatepost check` for what is wrong.",
            ) from error

    def _told_charges(self) -> Iterator[str]:
        for charge, value in obstacles.spent(self._charges, self._counters, self._now):
            yield (
                f"{charge.amount} of {charge.limit} {charge.metric.replace('_', ' ')} a {charge.window} "
                f"of the {charge.scope}, {value} taken ({charge.document})"
            )

    def _signs(self, key: KeyRecord) -> bool:
        return (
            key.state == "active" and key.tenant_id == self._identity.tenant.id and key.domain_id is not None
        )

    def _shard(self, to: Mailbox) -> ShardRecord | None:
        author = self._message.sender.domain_key
        return choose_shard(
            self._window.shards_of(self._identity.tenant.id, self._identity.workspace.environment),
            from_domain=author,
            stream=self._answer.decision.options.stream,
            recipient_domain=to.domain_key,
            organisational_domain=self._ground.organisations.domain,
            own_only=any(claim.kind == "trial" for claim in self._window.claims(author)),
        )


def _key_id(identity: Identity) -> str | None:
    credential = identity.credential
    return None if credential is None else credential.key_id or credential.id


def _selector(key: KeyRecord) -> str:
    return f"{key.selector}._domainkey.{key.domain} ({key.algorithm})"


def _way(to: Mailbox, shard: ShardRecord | None) -> Way:
    if shard is None:
        return Way(str(to), None, None, None, None)
    source = shard.source.helo if shard.source is not None else None
    return Way(str(to), shard.name, shard.route, shard.state, source)


def _octets(size: str) -> int:
    try:
        return parse_size(size)
    except ValueError as error:
        raise Invalid("bad-size", f"{error}.", "Write it as documents do, such as 2 KiB.") from None


def _stream(text: str | None) -> str | None:
    try:
        return stream_name(text) if text is not None else None
    except Refusal as refusal:
        fix = "Leave it out, or write a name that a message may carry."
        raise Invalid("bad-stream", f"{shown(text or '')} would be refused: {refusal.reply}.", fix) from None


def _mailbox(text: str) -> Mailbox:
    try:
        return parse_mailbox(text, smtputf8=True)
    except AddressError as error:
        raise Invalid(
            "bad-address", f"{text!r} is no address: {error}.", "Write it as local@domain."
        ) from None
