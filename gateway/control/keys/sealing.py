"""Opening a sealed DKIM key: for the room that signs, and no other."""

from __future__ import annotations

from gateway.control.records import KeyRecord
from gateway.system.secrets import Sealer


def key_place(tenant_id: str, key_id: str) -> dict[str, str]:
    """Where a private key is sealed to."""
    return {"tenant": tenant_id, "table": "dkim_keys", "row": key_id, "column": "sealed"}


def open_key(sealer: Sealer, record: KeyRecord) -> bytes:
    """The private key (PKCS #8, DER); `sealer` is the master key's for "dkim". Raises SecretError."""
    return sealer.open(record.sealed, **key_place(record.tenant_id, record.id))
