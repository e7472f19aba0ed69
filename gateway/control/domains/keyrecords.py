"""The records of DKIM keys: texts, or aliases into the platform's zone under which texts change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import RecordView
from gateway.control.keys.material import record_name, record_value
from gateway.control.keys.model import KeyRow, SlotRow
from gateway.control.settings import ControlSettings

_BESIDE = "The shard signs with it beside the domain's own key, once DNS shows it."
_NEXT_KEY = "The next key will stand here: with it nobody need do anything when keys are rotated."


def key_records(
    domain: DomainRow, keys: Sequence[KeyRow], slots: Sequence[SlotRow], settings: ControlSettings
) -> Iterator[RecordView]:
    """What the keys of a domain need, first what its owner publishes: aliases for slots, else texts."""
    in_use = {key.selector for key in keys if key.state in ("pending", "active")}
    selectors = {slot.selector for slot in slots}
    for slot in slots:
        name = record_name(slot.selector, domain.name)
        needed = slot.selector in in_use
        target = slot_target(domain, slot.selector, settings)
        yield RecordView(name, "CNAME", target, "dkim", required=needed, note=None if needed else _NEXT_KEY)
    for key in keys:
        if key.selector in selectors and key.shard_id is None:
            yield _text(slot_target(domain, key.selector, settings), key, publisher_is_ours=True)
        else:
            yield _text(record_name(key.selector, key.domain), key, publisher_is_ours=domain.kind != "custom")


def slot_target(domain: DomainRow, selector: str, settings: ControlSettings) -> str:
    """The platform's name behind a selector of a customer's domain."""
    return f"{selector}.{domain.id.replace('-', '')}.dkim.{settings.hostname}"


def key_target(domain: DomainRow, key: KeyRow, slots: Sequence[SlotRow], settings: ControlSettings) -> str:
    """Where the text of a domain's key itself stands."""
    if key.shard_id is None and key.selector in {slot.selector for slot in slots}:
        return slot_target(domain, key.selector, settings)
    return record_name(key.selector, key.domain)


def key_text(key: KeyRow) -> str:
    """The text of a key's record; a revoked key's says that it is revoked (RFC 6376 §3.6.1)."""
    return record_value(key.algorithm, "" if key.state == "revoked" else key.public_key)


def _text(name: str, key: KeyRow, *, publisher_is_ours: bool) -> RecordView:
    is_needed = key.state in ("pending", "active")
    return RecordView(
        name,
        "TXT",
        key_text(key),
        "dkim",
        required=is_needed and key.shard_id is None,
        publisher="platform" if publisher_is_ours else "customer",
        note=_BESIDE if is_needed and key.shard_id is not None else None,
    )
