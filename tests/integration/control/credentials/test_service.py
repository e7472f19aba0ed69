"""Making, listing, replacing and revoking app passwords on both databases."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.credentials.format import parse_password
from gateway.control.credentials.hashing import verify_password
from gateway.control.credentials.model import CredentialRow
from gateway.control.credentials.service import CredentialService
from gateway.control.errors import Conflict, Invalid, NotFound, ServiceError
from gateway.control.installation.model import ChangeRow
from gateway.control.records import Actor
from tests.integration.control.credentials.conftest import TAG_KEY, House
from tests.integration.control.directory.world import ACTOR

CHOSEN = "Chosen-password-123"


def test_one_is_made_and_its_hash_alone_is_kept(house: House) -> None:
    service = CredentialService(house.world.writes, tag_key=TAG_KEY)
    record, password = service.create(ACTOR, "ANNA@acme.example", label="printer")
    parsed = parse_password(password)
    assert parsed is not None
    assert record.key_id == parsed.key_id
    assert record.tag is None
    assert (record.scopes, record.label, record.account_id) == ({"smtp"}, "printer", house.account.id)
    assert verify_password(record.hash, password)
    assert service.show(ACTOR, parsed.key_id) == service.show(ACTOR, record.id) == record
    with house.world.database.read() as connection:
        stored = str(connection.execute(sa.select(sa.inspect(CredentialRow).local_table)).all())
        audit = connection.execute(
            sa.select(
                AuditEntryRow.operation,
                AuditEntryRow.tenant_id,
                AuditPayloadRow.before,
                AuditPayloadRow.after,
            )
            .join(AuditPayloadRow, AuditPayloadRow.number == AuditEntryRow.number)
            .order_by(AuditEntryRow.number.desc())
        ).first()
    assert audit is not None
    assert (audit.operation, audit.tenant_id, audit.before) == ("app-password.create", house.tenant.id, None)
    assert parsed.key_id in audit.after
    for text in (stored, audit.after):
        assert password not in text
        assert password[10:32] not in text
    assert record.hash not in audit.after


def test_everything_asked_for_is_kept(house: House) -> None:
    record, password = house.service.create(
        ACTOR,
        house.account.id,
        ["imap", "smtp"],
        "the printer",
        2e9,
        ["192.0.2.0/24", "2001:db8::1"],
        "transactional",
        chosen=CHOSEN,
    )
    assert password == CHOSEN
    (listed,) = house.service.list(ACTOR, "a@acme.example")
    assert listed == record
    assert (listed.key_id, listed.scopes, listed.expires_at) == (None, {"smtp", "imap"}, 2e9)
    assert listed.networks == ("192.0.2.0/24", "2001:db8::1/128")
    assert listed.stream == "transactional"
    assert listed.tag is not None
    assert len(listed.tag) == 4


def test_a_revoked_one_stays_in_history_and_revoking_twice_changes_nothing(house: House) -> None:
    record, _ = house.service.create(ACTOR, house.account.id)
    assert record.key_id is not None
    revoked = house.service.revoke(ACTOR, record.key_id)
    assert revoked.revoked_at is not None
    revision = _revision(house)
    assert house.service.revoke(ACTOR, record.id) == revoked
    assert _revision(house) == revision
    assert house.service.list(ACTOR, house.account.id) == ()
    assert house.service.list(ACTOR, house.account.id, revoked=True) == (revoked,)


def test_a_replacement_takes_over_the_terms_in_the_same_transaction(house: House) -> None:
    old, _ = house.service.create(
        ACTOR, house.account.id, ["imap"], "phone", 2e9, ["192.0.2.0/24"], "transactional"
    )
    before = _revision(house)
    new, password = house.service.replace(ACTOR, old.id)
    assert _revision(house) == before + 1
    assert new.id != old.id
    assert parse_password(password) is not None
    terms = ("scopes", "label", "expires_at", "networks", "stream")
    assert [getattr(new, name) for name in terms] == [getattr(old, name) for name in terms]
    assert house.service.list(ACTOR, house.account.id) == (new,)
    with pytest.raises(Conflict, match="revoked already"):
        house.service.replace(ACTOR, old.id)
    with house.world.database.read() as connection:
        changed = connection.execute(
            sa.select(ChangeRow.row_id, ChangeRow.account_id).where(
                ChangeRow.kind == "credential", ChangeRow.revision == before + 1
            )
        ).all()
    assert {tuple(row) for row in changed} == {(old.id, house.account.id), (new.id, house.account.id)}


def test_how_many_an_account_may_have(house: House) -> None:
    for n in range(4):
        house.service.create(ACTOR, house.account.id, chosen=f"{CHOSEN}-{n}")
    with pytest.raises(Conflict, match="chosen app passwords") as caught:
        house.service.create(ACTOR, house.account.id, chosen=f"{CHOSEN}-5")
    assert caught.value.code == "too-many-chosen-app-passwords"
    records = [house.service.create(ACTOR, house.account.id)[0] for _ in range(46)]
    with pytest.raises(Conflict) as caught:
        house.service.create(ACTOR, house.account.id)
    assert caught.value.code == "too-many-app-passwords"
    replaced, _ = house.service.replace(ACTOR, records[0].id)
    house.service.revoke(ACTOR, replaced.id)
    house.service.create(ACTOR, house.account.id)


def test_two_at_the_same_time_do_not_pass_the_limit_together(house: House) -> None:
    for _ in range(48):
        house.service.create(ACTOR, house.account.id)
    outcomes: list[str] = []

    def create() -> None:
        try:
            house.service.create(ACTOR, house.account.id)
            outcomes.append("made")
        except ServiceError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "made", "too-many-app-passwords", "too-many-app-passwords"]


def test_a_chosen_one_is_refused_while_another_has_its_tag(house: House) -> None:
    record, _ = house.service.create(ACTOR, house.account.id, chosen=CHOSEN)
    with pytest.raises(Conflict) as caught:
        house.service.create(ACTOR, house.account.id, chosen=CHOSEN)
    assert caught.value.code == "chosen-password-in-use"
    assert CHOSEN not in str(caught.value)
    replaced, _ = house.service.replace(ACTOR, record.id, chosen=CHOSEN)
    house.service.revoke(ACTOR, replaced.id)
    house.service.create(ACTOR, house.account.id, chosen=CHOSEN)


def test_refused_ones_leave_nothing(house: House) -> None:
    revision = _revision(house)
    with pytest.raises(Invalid):
        house.service.create(ACTOR, house.account.id, chosen="short")
    with pytest.raises(Invalid):
        house.service.create(ACTOR, house.account.id, ["pop3"])
    house.world.update("account", house.account, smtp=False)
    with pytest.raises(Conflict, match="No protocol"):
        house.service.create(ACTOR, house.account.id)
    assert _revision(house) == revision + 1
    assert house.service.list(ACTOR, house.account.id, revoked=True) == ()


@pytest.mark.parametrize("ref", ["anna@acme.example", "a@acme.example", "ID"])
def test_other_tenants_things_look_like_nothing(house: House, ref: str) -> None:
    record, _ = house.service.create(ACTOR, house.account.id)
    other = Actor("api", "key", tenant_id=house.world.tenant("evil").id)
    account_ref = house.account.id if ref == "ID" else ref
    unknown = "nobody@acme.example"
    for call in (house.service.create, house.service.list):
        with pytest.raises(NotFound) as foreign:
            call(other, account_ref)
        with pytest.raises(NotFound) as missing:
            call(ACTOR, unknown)
        assert str(foreign.value).replace(account_ref, "") == str(missing.value).replace(unknown, "")
    for credential_call in (house.service.show, house.service.revoke, house.service.replace):
        for credential_ref in (record.id, record.key_id or ""):
            with pytest.raises(NotFound):
                credential_call(other, credential_ref)
    assert house.service.list(Actor("api", "key", tenant_id=house.tenant.id), account_ref) == (record,)


def _revision(house: House) -> int:
    with house.world.database.read() as connection:
        return int(connection.execute(sa.text("SELECT revision FROM control_head")).scalar_one())
