"""The tables of a location's database that the queue and its quotas own.

Times are seconds since 1970 (UTC) as doubles. Every row carries `tenant_id`. Indexes over live states
are partial, so that finished rows (kept for `trace` until retention ends) cost nothing.
"""

from __future__ import annotations

import sqlalchemy as sa

from gateway.outgoing.queue.states import LIVE, State

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A row number the database makes: SQLite numbers only a column of exactly INTEGER."""


def _transaction() -> sa.Column[int]:
    """The number of the transaction that inserted the row, from PostgreSQL itself; 0 on SQLite."""
    return sa.Column("xact", sa.BigInteger, nullable=False, server_default=sa.FetchedValue())


def _text(name: str, *, null: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _time(name: str, *, null: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=null)


message = sa.Table(
    "message",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _text("tenant_id", null=False),
    _text("account_id"),
    _text("workspace_id"),
    _text("credential_id"),
    _text("environment", null=False),
    _text("origin", null=False),
    _text("stream", null=False),
    _text("tags"),
    _text("metadata"),
    _text("reverse_path", null=False),
    _text("from_address", null=False),
    _text("from_domain", null=False),
    _text("header_message_id"),
    _text("subject"),
    _text("envid"),
    _text("ret"),
    sa.Column("smtputf8", sa.Boolean, nullable=False),
    sa.Column("eightbit", sa.Boolean, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    _text("policy_name"),
    _text("policy_version"),
    _text("hold_rule"),
    _time("scheduled_at"),
    _time("received_at", null=False),
    _text("client_address"),
    sqlite_with_rowid=False,
)

message_body = sa.Table(
    "message_body",
    metadata,
    sa.Column("message_id", sa.Text, primary_key=True),
    _text("tenant_id", null=False),
    sa.Column("content", sa.LargeBinary, nullable=True),
    _text("blob_key"),
    sa.Column("signature_header", sa.LargeBinary, nullable=False),
    _text("key_ids", null=False),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    _time("signed_at", null=False),
)
"""Here as long as one recipient lives. `content` for up to 64 KiB, else `blob_key`."""


message_facts = sa.Table(
    "message_facts",
    metadata,
    sa.Column("message_id", sa.Text, primary_key=True),
    _text("tenant_id", null=False),
    _text("workspace_id", null=False),
    _time("at", null=False),
    _text("facts", null=False),
)
"""What policy saw of an accepted message and no other row tells, for replays. `at`: when it was counted.

A table of its own, and one with row numbers: in `message` it would make most rows overflow a page.
"""

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    _text("tenant_id", null=False),
    _text("digest", null=False),
    _text("message_id", null=False),
    _text("state", null=False),
    _time("release_at"),
    _time("at", null=False),
    sa.Index("ix_idempotency_at", "at"),
    sqlite_with_rowid=False,
)
"""Messages that came under a key of the caller's: the same again gives the first one's answer for a day."""


def _any_state(*states: State) -> str:
    return "(" + " OR ".join(f"state = '{state}'" for state in states) + ")"


IS_LIVE = _any_state(*LIVE)
"""SQLite uses a partial index only if the query names its condition: literally, and as one of these ORs."""

IS_TIMED = _any_state(State.SCHEDULED, State.WAITING) + " AND next_attempt_at IS NOT NULL"
IS_LATE = f"state = '{State.WAITING}' AND late_at IS NOT NULL"

_LIVE, _TIMED, _LATE = sa.text(IS_LIVE), sa.text(IS_TIMED), sa.text(IS_LATE)
_PARKED = sa.text("parked IS NOT NULL AND state = 'waiting'")

recipient = sa.Table(
    "recipient",
    metadata,
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    _text("tenant_id", null=False),
    _text("stream", null=False),
    _text("shard_id", null=False),
    _text("domain", null=False),
    _text("address", null=False),
    _text("state", null=False),
    _text("parked"),
    sa.Column("attempts", sa.Integer, nullable=False),
    _text("owner"),
    _time("next_attempt_at"),
    _time("late_at"),
    _time("queued_at", null=False),
    _time("give_up_at", null=False),
    _time("stopped_at"),
    _text("notify", null=False),
    _text("orcpt"),
    sa.Column("delay_notified", sa.Boolean, nullable=False),
    _text("last_reply"),
    _time("changed_at", null=False),
    sa.Index(
        "ix_recipient_live",
        "state",
        "tenant_id",
        "stream",
        "shard_id",
        "domain",
        "message_id",
        "n",
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    ),
    sa.Index("ix_recipient_timed", "next_attempt_at", sqlite_where=_TIMED, postgresql_where=_TIMED),
    sa.Index("ix_recipient_late", "late_at", sqlite_where=_LATE, postgresql_where=_LATE),
    sa.Index(
        "ix_recipient_parked",
        "parked",
        "shard_id",
        "tenant_id",
        sqlite_where=_PARKED,
        postgresql_where=_PARKED,
    ),
    sqlite_with_rowid=False,
)
"""One row a recipient. `stopped_at`: since when the life clock stands; `late_at`: when a waiting row
is to be looked at although no attempt is due (delay notice, end of life)."""

_ORDERED_BY_XACT = sa.text("xact > 0")
"""No row on SQLite, whose row numbers are in the order of the commits: there the index costs nothing."""

event = sa.Table(
    "event",
    metadata,
    sa.Column("id", _BIG, primary_key=True, autoincrement=True),
    _text("tenant_id", null=False),
    _text("message_id", null=False),
    sa.Column("n", sa.Integer, nullable=True),
    _text("kind", null=False),
    _time("at", null=False),
    sa.Column("attempt", sa.Integer, nullable=True),
    _text("reply"),
    _text("enhanced"),
    _text("peer"),
    _text("actor"),
    _transaction(),
    _text("data"),
    sa.Index("ix_event_message_id", "message_id"),
    sa.Index("ix_event_xact", "xact", "id", sqlite_where=_ORDERED_BY_XACT),
)
"""What happened to a message, only ever added to: `trace` and the outbox of events read it.

What belongs to no message has `message_id` "" and its facts in `data`, as JSON. (`xact`, `id`) is the order
of the commits.
"""

lookup = sa.Table(
    "lookup",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("message_id", sa.Text, primary_key=True),
    _text("tenant_id", null=False),
    sa.Index("ix_lookup_message_id", "message_id"),
    sqlite_with_rowid=False,
)
"""Hashes of recipients and Message-IDs, for `trace`. Written when the store is idle: as indexes they would
cost every message two pages of the log."""

lookup_mark = sa.Table(
    "lookup_mark",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    _text("message_id", null=False),
)
"""One row: all messages up to this one are in `lookup`; later ones are found by looking at them."""

quota_counter = sa.Table(
    "quota_counter",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("scope_id", sa.Text, primary_key=True),
    sa.Column("metric", sa.Text, primary_key=True),
    sa.Column("window", sa.Text, primary_key=True),
    sa.Column("window_start", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("tenant_id", null=False),
    sa.Column("value", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

usage_count = sa.Table(
    "usage_count",
    metadata,
    sa.Column("month", sa.Text, primary_key=True),
    sa.Column("tenant_id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("recipients", sa.BigInteger, nullable=False),
    sa.Column("delivered", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""See `usage.py`. Kept for ever: a few rows a month and tenant."""

first_recipient = sa.Table(
    "first_recipient",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("address_hash", sa.Text, primary_key=True),
    _text("tenant_id", null=False),
    _time("first_at", null=False),
    sqlite_with_rowid=False,
)
"""Whom an account has written to. Kept as hashes; filled only where first-time recipients are limited."""

refused = sa.Table(
    "refused",
    metadata,
    sa.Column("id", _BIG, primary_key=True, autoincrement=True),
    _text("tenant_id", null=False),
    _text("account_id"),
    _time("at", null=False),
    _text("client_address"),
    _text("reverse_path"),
    _text("from_address"),
    _text("recipients", null=False),
    sa.Column("recipient_count", sa.Integer, nullable=False),
    _text("reply", null=False),
    _text("rule", null=False),
    _transaction(),
    _text("workspace_id"),
    _text("environment"),
    sa.Index("ix_refused_tenant_id_id", "tenant_id", "id"),
    sa.Index("ix_refused_xact", "xact", "id", sqlite_where=_ORDERED_BY_XACT),
)

sign_in = sa.Table(
    "sign_in",
    metadata,
    sa.Column("id", _BIG, primary_key=True, autoincrement=True),
    _text("tenant_id", null=False),
    _text("account_id", null=False),
    _time("at", null=False),
    _text("protocol", null=False),
    _text("address"),
    _text("outcome", null=False),
    _text("credential_id"),
    sa.Index("ix_sign_in_account_id_id", "account_id", "id"),
)

credential_use = sa.Table(
    "credential_use",
    metadata,
    sa.Column("credential_id", sa.Text, primary_key=True),
    _text("tenant_id", null=False),
    _text("account_id", null=False),
    _time("used_at", null=False),
    _text("address"),
    sqlite_with_rowid=False,
)

incarnation = sa.Table(
    "incarnation",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _text("node", null=False),
    _time("started_at", null=False),
    _time("heartbeat_at", null=False),
)
"""The workers that may own rows. Both times are the database's. The installation's, no tenant's."""

account_home = sa.Table(
    "account_home",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    _text("tenant_id", null=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    _text("state", null=False),
    sa.Index(
        "ix_account_home_account_id",
        "account_id",
        sqlite_where=sa.text("state <> 'home'"),
        postgresql_where=sa.text("state <> 'home'"),
    ),
)
"""`home`, `fenced` or `gone`. An absent row means: this location is the account's home."""

audit_entries = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("id", null=False),
    _time("at", null=False),
    _text("actor_kind", null=False),
    _text("actor_id", null=False),
    _text("actor_address"),
    _text("operation", null=False),
    _text("resource_kind", null=False),
    _text("resource_id", null=False),
    _text("tenant_id"),
    _text("request_id"),
    _text("previous_hash", null=False),
    _text("payload_hash", null=False),
    _text("chain_hash", null=False),
    sa.UniqueConstraint("id"),
    sa.Index("ix_audit_entries_resource_id", "resource_id"),
    sa.Index("ix_audit_entries_tenant_id_number", "tenant_id", "number"),
)
"""The same columns as the control database's audit: each database has a chain of its own."""

audit_payloads = sa.Table(
    "audit_payloads",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("before"),
    _text("after"),
    sa.ForeignKeyConstraint(["number"], ["audit_entries.number"], name="fk_audit_payloads_number"),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    _text("hash", null=False),
    _text("seal"),
)
"""One row: where the chain ends, sealed as gateway.control.audit.head says. Locked last in a transaction
that adds to it."""
