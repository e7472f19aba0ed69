"""Sealing for the services: always under a master key that the database knows."""

from __future__ import annotations

from gateway.control.errors import Unavailable
from gateway.control.installation.model import MasterKeyRow
from gateway.control.installation.service import marks
from gateway.control.transaction import ControlChange
from gateway.system.secrets import MasterKey, Sealer


class Vault:
    """Gives out sealers inside a transaction, so that nothing is sealed under a key that was rotated away."""

    def __init__(self, master_key: MasterKey) -> None:
        self._master_key = master_key

    def sealer(self, change: ControlChange, purpose: str) -> Sealer:
        """The sealer for "dkim", "route" …; a new master key is noted before its use. Raises Unavailable."""
        known = {mark.key_id for mark in marks(change.session)}
        if not known <= set(self._master_key.key_ids):
            self._master_key.reload()
        if not known <= set(self._master_key.key_ids):
            raise Unavailable(
                "master-key-rotated",
                "The master key was rotated, and this process still has the old one.",
                "Restart it with the new key file.",
            )
        note_master_key(change, self._master_key)
        return self._master_key.sealer(purpose)


def note_master_key(change: ControlChange, master_key: MasterKey) -> None:
    """Let the database know the sealing key, so that a start without it is refused."""
    key_id = master_key.key_id
    if change.session.get(MasterKeyRow, key_id) is None:
        check_value = master_key.check_value(key_id)
        change.add(MasterKeyRow(key_id=key_id, check_value=check_value, created_at=change.now))
