"""Opening an installation: its first rows, its master key checked, its lasting secrets unsealed."""

from __future__ import annotations

import os
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from gateway.control.audit.head import head_seal
from gateway.control.installation.model import HeadRow, MasterKeyRow, SecretRow
from gateway.system.clock import Clock
from gateway.system.database import Database
from gateway.system.secrets import KeyMark, MasterKey, SecretError, check_master_key, derive

AUDIT = "audit"
"""The purpose of the key that chains the audit and seals its heads."""

_ROOT = "root"
_PLACE = {"tenant": "", "table": "installation_secrets", "row": _ROOT, "column": "sealed"}


class Installation:
    """An opened installation. Its `durable_key`s outlive rotations of the master key."""

    def __init__(self, master_key: MasterKey, root: bytes) -> None:
        """Use `open`."""
        self.master_key = master_key
        self._root = root

    @classmethod
    def open(
        cls,
        database: Database,
        master_key: MasterKey,
        clock: Clock,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> Installation:
        """Check the master key against the database; on the very first start make the installation's secrets.

        Raises SecretError (with a sentence, nothing touched) for a key that is not the installation's.
        """
        with database.read() as connection, Session(connection) as session:
            root = _root(session, master_key)
        if root is None:
            with database.write() as connection, Session(connection) as session:
                root = _root(session, master_key) or _found(
                    session, connection, master_key, clock, random_bytes
                )
        return cls(master_key, root)

    def durable_key(self, purpose: str) -> bytes:
        """A 32-octet key for HMACs that must stay valid when the master key is rotated."""
        return _durable(self._root, purpose)


def check_before_upgrade(database: Database, master_key: MasterKey) -> None:
    """Refuse a wrong key before anything is done to the database; one without our tables takes any.

    Raises SecretError, DatabaseAway.
    """
    with database.read() as connection:
        if sa.inspect(connection).has_table(MasterKeyRow.__tablename__):
            with Session(connection) as session:
                check_master_key(master_key, marks(session))


def marks(session: Session) -> tuple[KeyMark, ...]:
    """The master keys that something in this database may be sealed under."""
    rows = session.scalars(sa.select(MasterKeyRow).order_by(MasterKeyRow.created_at))
    return tuple(KeyMark(row.key_id, row.check_value) for row in rows)


def reseal_root(session: Session, master_key: MasterKey) -> bool:
    """Seal the installation's secret under the first of the keys; False if it is already."""
    sealer = master_key.sealer("installation")
    row = session.get_one(SecretRow, _ROOT)
    if sealer.is_current(row.sealed):
        return False
    row.sealed = sealer.seal(sealer.open(row.sealed, **_PLACE), **_PLACE)
    return True


def _root(session: Session, master_key: MasterKey) -> bytes | None:
    known = marks(session)
    check_master_key(master_key, known)
    row = session.get(SecretRow, _ROOT)
    if row is None:
        if known:
            raise SecretError("the control database has lost its own secrets: restore it from a backup")
        return None
    return master_key.sealer("installation").open(row.sealed, **_PLACE)


def _found(
    session: Session,
    connection: Connection,
    master_key: MasterKey,
    clock: Clock,
    random_bytes: Callable[[int], bytes],
) -> bytes:
    if connection.dialect.name == "postgresql":
        # Two nodes may start for the first time at once; the second finds the first one's rows.
        connection.execute(sa.text("LOCK TABLE control_head IN EXCLUSIVE MODE"))
        found = _root(session, master_key)
        if found is not None:
            return found
    root = random_bytes(32)
    now = clock.now()
    sealed = master_key.sealer("installation").seal(root, **_PLACE)
    key_id = master_key.key_id
    session.add(SecretRow(name=_ROOT, sealed=sealed, created_at=now))
    session.add(MasterKeyRow(key_id=key_id, check_value=master_key.check_value(key_id), created_at=now))
    seal = head_seal(_durable(root, AUDIT), 0, "")
    session.add(HeadRow(id=1, revision=0, audit_number=0, audit_hash="", audit_seal=seal))
    session.flush()
    return root


def _durable(root: bytes, purpose: str) -> bytes:
    return derive(root, f"durable/{purpose}")
