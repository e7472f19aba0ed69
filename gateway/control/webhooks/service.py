"""Webhooks: made, changed, paused; their secrets handed out once and rotated with overlap."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.clientids import set_client_id
from gateway.control.errors import Conflict, Invalid
from gateway.control.installation.vault import Vault
from gateway.control.lookup import clean_metadata, shown
from gateway.control.paging import Page, PageQuery, read_page
from gateway.control.recording import payload, record
from gateway.control.records import Actor
from gateway.control.tenants.find import find_tenant
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible
from gateway.control.webhooks.filters import parse_filters
from gateway.control.webhooks.find import environment_filter, find_webhook, owner_id, workspace_id
from gateway.control.webhooks.model import STATES, WebhookRow, WebhookSecretRow
from gateway.control.webhooks.secret import PURPOSE, make_secret, secret_place
from gateway.control.webhooks.view import LISTING, WebhookView, secrets_of, webhook_view, webhook_views
from gateway.system.webclient import TargetRefused, parse_target

OVERLAP_SECONDS = 24 * 3600.0
"""How long the secret before still signs beside the new one."""

SYSTEM = Actor(kind="system", id="webhooks")
_MOST_WEBHOOKS = 50
_MOST_SECRETS = 5
_LONGEST_DESCRIPTION = 500


class WebhookService:
    """Rules and transactions of webhooks."""

    def __init__(
        self,
        writes: ControlWrites,
        vault: Vault,
        *,
        allow_private: bool = False,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`allow_private`: as `[webhooks] allow_private`."""
        self._writes = writes
        self._vault = vault
        self._allow_private = allow_private
        self._random_bytes = random_bytes

    def create(
        self,
        actor: Actor,
        *,
        url: str,
        events: Sequence[str] = (),
        tenant: str | None = None,
        environment: str | None = None,
        workspace: str | None = None,
        description: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> tuple[WebhookView, str]:
        """A webhook, and its secret, which nobody can show again.

        Without `tenant` it is the caller's tenant's; a caller who has none makes one of the platform, which
        gets every tenant's events. Raises Invalid, NotFound, Conflict.
        """
        checked = self._checked(actor, url, environment or "", description)
        filters, pairs = parse_filters(events), clean_metadata(metadata)
        with self._writes.change(actor) as change:
            tenant_id = owner_id(change.session, actor, tenant)
            _refuse_too_many(change.session, tenant_id)
            row = WebhookRow(
                id=change.ids.uuid(),
                tenant_id=tenant_id,
                events=filters,
                workspace_id=workspace_id(change.session, actor, workspace, tenant_id),
                state="active",
                metadata_=pairs,
                created_at=change.now,
                **checked,
            )
            _note_time(change, row)
            set_client_id(change.session, row, client_id)
            change.add(row)
            secret = self._add_secret(change, row)
            return _shown_once(change, _recorded(change, "webhook.create", None, row)), secret

    def page(self, actor: Actor, query: PageQuery) -> Page[WebhookView]:
        """A page of the webhooks that the caller may see.

        Filters: tenant, url, environment, state, client_id, metadata.KEY. Sorts: created_at, updated_at, url.
        Raises Invalid, NotFound (the tenant).
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, visible(actor, WebhookRow))

    def list(
        self, actor: Actor, *, tenant: str | None = None, state: str | None = None
    ) -> tuple[WebhookView, ...]:
        """The webhooks that the caller may see, the oldest first. Raises NotFound (the tenant), Invalid."""
        if state is not None and state not in STATES:
            raise Invalid("bad-state", f"{shown(state)} is no state.", f"Choose {', '.join(STATES)}.")
        statement = sa.select(WebhookRow).where(visible(actor, WebhookRow)).order_by(WebhookRow.id)
        with self._writes.view() as session:
            if tenant is not None:
                statement = statement.where(WebhookRow.tenant_id == find_tenant(session, actor, tenant).id)
            if state is not None:
                statement = statement.where(WebhookRow.state == state)
            return tuple(webhook_views(session, session.scalars(statement).all()))

    def show(self, actor: Actor, reference: str) -> WebhookView:
        """One webhook by id or URL. Raises NotFound, Conflict (a URL of several)."""
        with self._writes.view() as session:
            return webhook_view(session, find_webhook(session, actor, reference))

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        environment: str | None = None,
        workspace: str | None = None,
        description: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WebhookView:
        """Change what is given, leave what is None; "" takes away what need not be there.

        Raises NotFound, Invalid, Conflict.
        """
        given = self._checked(actor, url, environment, description)
        with self._writes.change(actor) as change:
            row = find_webhook(change.session, actor, reference)
            before = webhook_view(change.session, row)
            for name, value in given.items():
                setattr(row, name, value)
            if events is not None:
                row.events = parse_filters(events)
            if workspace is not None:
                row.workspace_id = workspace_id(change.session, actor, workspace, row.tenant_id)
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            return _recorded(change, "webhook.update", before, row)

    def rotate_secret(
        self, actor: Actor, reference: str, *, overlap_seconds: float = OVERLAP_SECONDS
    ) -> tuple[WebhookView, str]:
        """A new secret, shown once; those before sign beside it for `overlap_seconds` more.

        Raises NotFound, Conflict (rotated too often within that time).
        """
        with self._writes.change(actor) as change:
            row = find_webhook(change.session, actor, reference)
            before = webhook_view(change.session, row)
            self._end_secrets(change, row, change.now + overlap_seconds)
            secret = self._add_secret(change, row)
            return _shown_once(change, _recorded(change, "webhook.rotate-secret", before, row)), secret

    def pause(self, actor: Actor, reference: str, *, reason: str | None = None) -> WebhookView:
        """Keep events back until `resume`. Raises NotFound, Conflict."""
        return self._move(actor, reference, "webhook.pause", "paused", ("active",), reason)

    def resume(self, actor: Actor, reference: str) -> WebhookView:
        """Send again: to a paused one what was kept back, to a disabled one what happens from now on.

        Raises NotFound, Conflict.
        """
        return self._move(actor, reference, "webhook.resume", "active", ("paused", "disabled"), None)

    def delete(self, actor: Actor, reference: str) -> WebhookView:
        """Take a webhook away with its secrets; returns what it was. Raises NotFound."""
        with self._writes.change(actor) as change:
            row = find_webhook(change.session, actor, reference)
            view = webhook_view(change.session, row)
            change.session.delete(row)
            change.session.flush()
            change.audit(
                "webhook.delete",
                "webhook",
                view.id,
                tenant_id=view.tenant_id,
                before=payload(view),
                after=None,
            )
            change.changed("webhook", view.id, tenant_id=view.tenant_id)
            change.result = payload(view)
            return view

    def disable(self, webhook_id: str, reason: str) -> bool:
        """The system's own: stop sending to a receiver that wants no more. False if it was done."""
        with self._writes.change(SYSTEM) as change:
            row = change.session.get(WebhookRow, webhook_id)
            if row is None or row.state == "disabled":
                return False
            before = webhook_view(change.session, row)
            row.state, row.state_reason = "disabled", reason
            _recorded(change, "webhook.disable", before, row)
            return True

    def _checked(
        self, actor: Actor, url: str | None, environment: str | None, description: str | None
    ) -> dict[str, str | None]:
        """The columns that these words become; what is not given is not there, "" is NULL."""
        columns: dict[str, str | None] = {}
        if url is not None:
            columns["url"] = self._clean_url(url)
        if environment is not None:
            columns["environment"] = environment_filter(actor, environment)
        if description is not None:
            columns["description"] = _clean_description(description)
        return columns

    def _clean_url(self, url: str) -> str:
        try:
            parse_target(url, allow_private=self._allow_private)
        except TargetRefused as error:
            raise Invalid(
                "bad-webhook-url",
                f"Events cannot be sent to this URL: {error}.",
                "Give an https:// address that the whole internet can reach; the operator may allow others "
                "with [webhooks] allow_private.",
            ) from None
        return url

    def _add_secret(self, change: ControlChange, webhook: WebhookRow) -> str:
        octets, text = make_secret(self._random_bytes)
        secret_id = change.ids.uuid()
        place = secret_place(webhook.tenant_id, secret_id)
        sealed = self._vault.sealer(change, PURPOSE).seal(octets, **place)
        change.add(
            WebhookSecretRow(
                id=secret_id,
                webhook_id=webhook.id,
                tenant_id=webhook.tenant_id,
                sealed=sealed,
                created_at=change.now,
            )
        )
        return text

    def _end_secrets(self, change: ControlChange, webhook: WebhookRow, until: float) -> None:
        secrets = secrets_of(change.session, webhook.id)
        live = [one for one in secrets if one.expires_at is None or one.expires_at > change.now]
        if len(live) >= _MOST_SECRETS:
            raise Conflict(
                "too-many-secrets",
                f"{len(live)} secrets of this webhook sign already.",
                "Rotate again when the oldest has expired.",
            )
        for one in secrets:
            if one not in live:
                change.session.delete(one)
            elif one.expires_at is None:
                one.expires_at = until
        change.session.flush()

    def _move(
        self,
        actor: Actor,
        reference: str,
        operation: str,
        state: str,
        allowed: tuple[str, ...],
        reason: str | None,
    ) -> WebhookView:
        with self._writes.change(actor) as change:
            row = find_webhook(change.session, actor, reference)
            if row.state not in allowed:
                raise Conflict(
                    "wrong-state",
                    f"The webhook {row.id} is {row.state}.",
                    f"Only {' or '.join(allowed)} ones become {state}.",
                )
            before = webhook_view(change.session, row)
            row.state, row.state_reason = state, reason
            return _recorded(change, operation, before, row)


def _shown_once(change: ControlChange, view: WebhookView) -> WebhookView:
    """Let a repetition of the request say how to come by a secret."""
    fix = f"The secret was shown once: `gatepost webhook rotate-secret {view.id}` makes another."
    change.result = {**payload(view), "secret": None, "fix": fix}
    return view


def _refuse_too_many(session: Session, tenant_id: str | None) -> None:
    count = sa.select(sa.func.count()).where(WebhookRow.tenant_id.is_not_distinct_from(tenant_id))
    if (session.scalar(count) or 0) >= _MOST_WEBHOOKS:
        raise Conflict(
            "too-many-webhooks",
            f"There are {_MOST_WEBHOOKS} webhooks already.",
            "Delete one with `gatepost webhook delete`, or give one of them more event types.",
        )


def _clean_description(text: str) -> str | None:
    if len(text) > _LONGEST_DESCRIPTION or not text.isprintable():
        raise Invalid(
            "bad-description",
            "The description cannot be used.",
            f"Give at most {_LONGEST_DESCRIPTION} printable characters.",
        )
    return text or None


def _note_time(change: ControlChange, row: WebhookRow) -> None:
    row.updated_at = change.now


def _recorded(
    change: ControlChange, operation: str, before: WebhookView | None, row: WebhookRow
) -> WebhookView:
    _note_time(change, row)
    change.session.flush()
    after = webhook_view(change.session, row)
    record(change, operation, "webhook", before, after)
    return after
