"""Making, listing, revoking and replacing app passwords: rules and transactions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountRow
from gateway.control.clientids import set_client_id
from gateway.control.credentials import store
from gateway.control.credentials.format import chosen_password_tag, make_password
from gateway.control.credentials.hashing import hash_password
from gateway.control.credentials.model import CredentialRow, credential_record
from gateway.control.credentials.terms import Terms, check_chosen, check_room, checked_terms, clean_label
from gateway.control.credentials.view import LISTING, CredentialView, credential_view
from gateway.control.directory.model import login_name
from gateway.control.errors import Conflict, NotFound
from gateway.control.lookup import clean_metadata
from gateway.control.paging import Page, PageQuery, read_page
from gateway.control.recording import payload
from gateway.control.records import Actor, CredentialRecord
from gateway.control.transaction import ControlChange, ControlWrites, Payload
from gateway.control.visibility import visible


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password that is to be an account's, with its hash; neither is ever printed."""

    text: str
    hash: str
    key_id: str | None

    def __repr__(self) -> str:
        return f"NewPassword(key_id={self.key_id!r})"


class CredentialService:
    """App passwords of accounts. A password is handed out once, when it is made; only its hash is kept.

    An account is named by address (any case) or grant id, an app password by key id or id. Callers limited
    to a tenant (`actor.tenant_id`) do not find other tenants' things.
    """

    def __init__(
        self,
        writes: ControlWrites,
        *,
        tag_key: bytes,
        random_bytes: Callable[[int], bytes] = os.urandom,
        hash_text: Callable[[str], str] = hash_password,
    ) -> None:
        """`tag_key`: the key for the tags of chosen passwords, the one that the Authenticator has."""
        self._writes = writes
        self._tag_key = tag_key
        self._random_bytes = random_bytes
        self._hash_text = hash_text

    def create(
        self,
        actor: Actor,
        account_ref: str,
        scopes: Iterable[str] = (),
        label: str | None = None,
        expires_at: float | None = None,
        networks: Iterable[str] = (),
        stream: str | None = None,
        chosen: str | None = None,
        prepared: NewPassword | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> tuple[CredentialRecord, str]:
        """A new app password: its record, and the password itself, which nobody can show again.

        No scopes: every protocol switched on for the account now. `expires_at`: seconds since 1970.
        `networks`: CIDR; none: anywhere. `chosen`: the caller's own password instead of a made one; one that
        was `prepared` costs no time inside a transaction that is going on.
        Raises NotFound, Invalid, Conflict.
        """
        # Before the transaction: 20 ms are long for a lock that all control changes wait for.
        secret, pairs = prepared or self.prepare(chosen), clean_metadata(metadata)
        with self._writes.change(actor) as change:
            account = _account(change.session, actor, account_ref)
            terms = checked_terms(
                address=account.address,
                on=protocols_on(account),
                scopes=scopes,
                label=label,
                expires_at=expires_at,
                networks=networks,
                stream=stream,
                now=change.now,
            )
            row = self._add(change, account, terms, secret)
            row.metadata_ = pairs
            set_client_id(change.session, row, client_id)
            _note(change, "app-password.create", row, before=None, after=_audited(row))
            change.result = _repeated(change.session, row)
            return credential_record(row), secret.text

    def page(self, actor: Actor, query: PageQuery) -> Page[CredentialView]:
        """A page of the app passwords the caller may see, of all its accounts.

        Filters: account, tenant, revoked, label, key_id, client_id, metadata.KEY. Sorts: created_at. Raises
        Invalid, NotFound.
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, visible(actor, CredentialRow))

    def view(self, actor: Actor, ref: str) -> CredentialView:
        """One app password as people see it. Raises NotFound."""
        with self._writes.view() as session:
            return credential_view(session, _credential(session, actor, ref))

    def update(
        self,
        actor: Actor,
        ref: str,
        *,
        label: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> CredentialView:
        """Change what an app password is called; an empty text takes label or client_id away.

        What it may do never changes: make another one for that. Raises NotFound, Invalid, Conflict.
        """
        with self._writes.change(actor) as change:
            row = _credential(change.session, actor, ref)
            before = _audited(row)
            row.label = row.label if label is None else clean_label(label)
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            change.session.flush()
            change.changed("credential", row.id, tenant_id=row.tenant_id, account_id=row.account_id)
            _note(change, "app-password.update", row, before=before, after=_audited(row))
            return credential_view(change.session, row)

    def list(self, actor: Actor, account_ref: str, *, revoked: bool = False) -> tuple[CredentialRecord, ...]:
        """An account's app passwords, oldest first; with `revoked` those no longer valid too."""
        with self._writes.view() as session:
            account = _account(session, actor, account_ref)
            return tuple(
                credential_record(row) for row in store.of_account(session, account.id, revoked=revoked)
            )

    def show(self, actor: Actor, ref: str) -> CredentialRecord:
        """One app password, without its secret. Raises NotFound."""
        with self._writes.view() as session:
            return credential_record(_credential(session, actor, ref))

    def revoke(self, actor: Actor, ref: str) -> CredentialRecord:
        """Make an app password worthless for ever, within a second and for open sessions too.

        Revoking again changes nothing. Raises NotFound.
        """
        with self._writes.change(actor) as change:
            row = _credential(change.session, actor, ref)
            if row.revoked_at is None:
                self._revoke(change, row)
                _note(change, "app-password.revoke", row, before=_audited(row), after=None)
            return credential_record(row)

    def replace(self, actor: Actor, ref: str, chosen: str | None = None) -> tuple[CredentialRecord, str]:
        """A new app password on the terms of an old one, which is revoked in the same moment.

        Raises NotFound; Conflict if the old one is revoked; Invalid.
        """
        secret = self.prepare(chosen)
        with self._writes.change(actor) as change:
            old = _credential(change.session, actor, ref)
            if old.revoked_at is not None:
                raise Conflict(
                    "app-password-revoked",
                    f"The app password {old.key_id or old.id} is revoked already.",
                    "Make a new one with `gatepost app-password create`.",
                )
            account = change.session.get_one(AccountRow, old.account_id)
            self._revoke(change, old)
            change.session.flush()
            terms = Terms(frozenset(old.scopes), old.label, old.expires_at, tuple(old.networks), old.stream)
            row = self._add(change, account, terms, secret)
            _note(change, "app-password.replace", row, before=_audited(old), after=_audited(row))
            change.result = _repeated(change.session, row)
            return credential_record(row), secret.text

    def prepare(self, chosen: str | None = None) -> NewPassword:
        """A password ready to be an account's: `chosen`, or a made one. Takes 20 ms. Raises Invalid."""
        if chosen is not None:
            check_chosen(chosen)
            return NewPassword(chosen, self._hash_text(chosen), None)
        made = make_password(self._random_bytes)
        return NewPassword(made.text, self._hash_text(made.text), made.key_id)

    def _add(
        self, change: ControlChange, account: AccountRow, terms: Terms, secret: NewPassword
    ) -> CredentialRow:
        is_chosen = secret.key_id is None
        live = store.count_live(change.session, account.id)
        check_room(account.address, live.total, live.chosen, chosen=is_chosen)
        tag = chosen_password_tag(self._tag_key, account.id, secret.text) if is_chosen else None
        if tag is not None and store.has_tag(change.session, account.id, tag):
            raise Conflict(
                "chosen-password-in-use",
                f"{account.address} has an app password that cannot be told from this one.",
                "Choose another, or leave the password out and one is made.",
            )
        row = CredentialRow(
            id=change.ids.uuid(),
            tenant_id=account.tenant_id,
            account_id=account.id,
            key_id=secret.key_id,
            tag=tag,
            hash=secret.hash,
            scopes=sorted(terms.scopes),
            label=terms.label,
            expires_at=terms.expires_at,
            networks=list(terms.networks),
            stream=terms.stream,
            metadata_={},
            created_at=change.now,
            revoked_at=None,
        )
        change.session.add(row)
        change.changed("credential", row.id, tenant_id=row.tenant_id, account_id=row.account_id)
        return row

    def _revoke(self, change: ControlChange, row: CredentialRow) -> None:
        row.revoked_at = change.now
        change.changed("credential", row.id, tenant_id=row.tenant_id, account_id=row.account_id)


def protocols_on(account: AccountRow) -> frozenset[str]:
    """The protocols that are switched on for an account."""
    return frozenset(name for name, is_on in (("smtp", account.smtp), ("imap", account.imap)) if is_on)


def _account(session: Session, actor: Actor, ref: str) -> AccountRow:
    account = store.find_account(session, ref, login_name(ref), visible(actor, AccountRow))
    if account is None:
        raise NotFound(
            "account-not-found",
            f"There is no account {ref!r}.",
            "See `gatepost account list` for the accounts there are.",
        )
    return account


def _credential(session: Session, actor: Actor, ref: str) -> CredentialRow:
    row = store.find_credential(session, ref, visible(actor, CredentialRow))
    if row is None:
        raise NotFound(
            "app-password-not-found",
            f"There is no app password with the key id {ref[:40]!r}.",
            "See `gatepost app-password list ADDRESS` for the key ids of an account.",
        )
    return row


def _audited(row: CredentialRow) -> Payload:
    """What the audit keeps: everything but the hash and the tag."""
    return {
        "id": row.id,
        "account_id": row.account_id,
        "key_id": row.key_id,
        "scopes": list(row.scopes),
        "label": row.label,
        "expires_at": row.expires_at,
        "networks": list(row.networks),
        "stream": row.stream,
        "client_id": row.client_id,
        "metadata": dict(row.metadata_),
    }


def _repeated(session: Session, row: CredentialRow) -> Payload:
    """What a repetition of the request is told: all but the password, which was shown once."""
    session.flush()
    shown = credential_view(session, row)
    fix = f"`gatepost app-password replace {shown.id}` makes another one in its place."
    return {**payload(shown), "app_password": None, "fix": fix}


def _note(
    change: ControlChange,
    operation: str,
    row: CredentialRow,
    *,
    before: Payload | None,
    after: Payload | None,
) -> None:
    change.audit(operation, "credential", row.id, tenant_id=row.tenant_id, before=before, after=after)
