"""Doubles of whom a submission session asks: they keep to the doors' contracts and can be told to refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gateway.control.credentials.signin import Accepted, Denied, SignInOutcome
from gateway.control.directory import Change, Refused, RefusedReason, login_name
from gateway.control.policies.effective import EffectivePolicy
from gateway.control.records import AccountRecord, CredentialRecord, Identity, TenantRecord, WorkspaceRecord
from gateway.mail.envelope import MailCommand, RcptCommand
from gateway.mail.reply import Reply
from gateway.outgoing.intake import Receipt, Submission
from gateway.system.database import DatabaseAway

PASSWORD = "gp_Correct7Horse"


def make_identity(address: str = "ann@example.com", **policy: Any) -> Identity:
    """An account of a tenant in a workspace; `policy` are fields of its effective policy."""
    account = AccountRecord(
        id=f"account-of-{address}",
        tenant_id="tenant-1",
        workspace_id="workspace-1",
        address=address,
        aliases=(),
        display_name=None,
        status="active",
        smtp=True,
        imap=False,
        epoch=1,
        home_location="default",
        created_at=0.0,
    )
    credential = CredentialRecord(
        id=f"credential-of-{address}",
        account_id=account.id,
        tenant_id="tenant-1",
        key_id="AbCdEfG",
        tag=None,
        hash="",
        scopes=frozenset({"smtp"}),
        label=None,
        expires_at=None,
        networks=(),
        stream=None,
        revoked_at=None,
        created_at=0.0,
    )
    return Identity(
        account=account,
        tenant=TenantRecord("tenant-1", "Example", "standard", "active", False, "workspace-1"),
        workspace=WorkspaceRecord(
            "workspace-1", "main", "tenant-1", "production", "default", "default", True
        ),
        policy=EffectivePolicy("default", 1, **policy),
        credential=credential,
        revision=1,
    )


class FakeDirectory:
    """Identities by account; `refused` by account; `cold` ones have to be read; `away` cannot be."""

    def __init__(self, *identities: Identity) -> None:
        self.identities = {identity.account.id: identity for identity in identities}
        self.refused: dict[str, RefusedReason] = {}
        self.cold = False
        self.away = False
        self.asked = 0
        self.callbacks: list[Callable[[int, tuple[Change, ...]], None]] = []

    def identity_now(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused | None:
        self.asked += 1
        assert protocol == "smtp"
        if self.cold:
            return None
        return self._judge(account_id, credential_id)

    async def identity(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused:
        assert protocol == "smtp"
        await asyncio.sleep(0)
        if self.away:
            raise DatabaseAway("the control database is away")
        return self._judge(account_id, credential_id)

    def _judge(self, account_id: str, credential_id: str | None) -> Identity | Refused:
        reason = self.refused.get(account_id)
        if reason is not None:
            return Refused(reason)
        identity = self.identities[account_id]
        assert identity.credential is not None
        assert credential_id == identity.credential.id
        return identity

    def subscribe(self, callback: Callable[[int, tuple[Change, ...]], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def refuse(self, account_id: str, reason: RefusedReason) -> None:
        """Refuse from now on and tell, as the real one does."""
        self.refused[account_id] = reason
        self.tell(Change("account", account_id, "tenant-1", account_id))

    def tell(self, *changes: Change) -> None:
        for callback in tuple(self.callbacks):
            callback(2, changes)

    def change_policy(self, account_id: str, policy: EffectivePolicy) -> None:
        self.identities[account_id] = replace(self.identities[account_id], policy=policy)


class FakeAuthenticator:
    """Knows one password for all; `answer` overrides it; `hold` lets a verdict wait."""

    def __init__(self, directory: FakeDirectory) -> None:
        self.directory = directory
        self.answer: Accepted | Denied | Exception | None = None
        self.hold: asyncio.Event | None = None
        self.asked: list[tuple[str, str, str]] = []
        self.asking = asyncio.Event()

    async def verify(self, login: str, password: str, *, protocol: str, address: str) -> Accepted | Denied:
        assert protocol == "smtp"
        self.asked.append((login, password, address))
        self.asking.set()
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        for identity in self.directory.identities.values():
            if login_name(login) in (identity.account.address, identity.account.id) and password == PASSWORD:
                return Accepted(identity)
        return Denied(SignInOutcome.WRONG_CREDENTIALS)


class FakeIntake:
    """Keeps what was submitted; can refuse, fail, hold and make a commit wait."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.begun = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.failure: Exception | None = None
        self.held = False
        self.refuse_sender: Reply | None = None
        self.refuse_recipient: Callable[[RcptCommand], Reply | None] = lambda command: None

    def check_sender(self, identity: Identity, command: MailCommand, client_address: str) -> Reply | None:
        return self.refuse_sender

    def check_recipient(
        self,
        identity: Identity,
        accepted: Sequence[RcptCommand],
        recipient: RcptCommand,
        reverse_path: str,
        client_address: str,
    ) -> Reply | None:
        return self.refuse_recipient(recipient)

    async def submit(self, submission: Submission) -> Receipt:
        self.begun.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        self.submissions.append(submission)
        return Receipt(f"message{len(self.submissions)}", self.held)


class Counting:
    """Metrics: every call by name and first argument."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def count(*arguments: Any) -> None:
            self.calls.append((name, *arguments))

        return count

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]


class Log:
    """A logger that keeps its events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    error = warning = debug = info

    def named(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.events if name == event]
