"""DKIM keys: made, imported, rotated, revoked, and never readable."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from gateway.control.errors import Conflict, Invalid, NotFound
from gateway.control.keys.model import KeyRow
from gateway.control.keys.sealing import open_key
from gateway.control.records import KeyRecord
from gateway.control.services import ControlServices
from gateway.system.dns import NoSuchName
from gateway.system.secrets import SecretError
from tests.support.control import MASTER_KEY, OPERATOR, MakeServices


def _pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _record(services: ControlServices, key_id: str) -> KeyRecord:
    with services.writes.view() as session:
        row = session.get_one(KeyRow, key_id)
        names = KeyRecord.__dataclass_fields__
        return KeyRecord(**{name: getattr(row, name) for name in names})


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    control_services.tenants.create(OPERATOR, "acme")
    control_services.domains.add(OPERATOR, "acme.test", tenant="acme")
    return control_services


def test_a_second_key_of_another_kind(services: ControlServices) -> None:
    made = services.keys.create(OPERATOR, "acme.test", algorithm="ed25519")
    assert (made.algorithm, made.bits, made.state) == ("ed25519-sha256", 256, "active")
    assert made.record_value.startswith("v=DKIM1; k=ed25519; p=")
    states = {key.algorithm: key.state for key in services.keys.list(OPERATOR, domain="acme.test")}
    assert states == {"rsa-sha256": "active", "ed25519-sha256": "active"}
    assert services.keys.show(OPERATOR, made.name) == services.keys.show(OPERATOR, made.id) == made


def test_selectors_have_a_date_and_never_meet(services: ControlServices) -> None:
    for _ in range(27):
        services.keys.create(OPERATOR, "acme.test", algorithm="ed25519")
    selectors = [key.selector for key in services.keys.list(OPERATOR, domain="acme.test")]
    assert len(set(selectors)) == 28
    assert selectors[:2] == ["gp20270115a", "gp20270115b"]
    assert selectors[26:] == ["gp20270115aa", "gp20270115ab"]


@pytest.mark.parametrize(("algorithm", "bits"), [("rsa", 1024), ("rsa", 2047), ("dsa", 2048)])
def test_kinds_that_are_not_offered(services: ControlServices, algorithm: str, bits: int) -> None:
    with pytest.raises(Invalid):
        services.keys.create(OPERATOR, "acme.test", algorithm=algorithm, bits=bits)


def test_a_key_is_sealed_to_its_row(services: ControlServices) -> None:
    (key,) = services.keys.list(OPERATOR, domain="acme.test")
    record = _record(services, key.id)
    sealer = MASTER_KEY.sealer("dkim")
    private = serialization.load_der_private_key(open_key(sealer, record), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    other = services.keys.create(OPERATOR, "acme.test")
    moved = KeyRecord(**{**_as_dict(_record(services, other.id)), "sealed": record.sealed})
    with pytest.raises(SecretError, match="changed or moved"):
        open_key(sealer, moved)


def _as_dict(record: KeyRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in KeyRecord.__dataclass_fields__}


def test_importing(services: ControlServices) -> None:
    pem = _pem(ed25519.Ed25519PrivateKey.generate())
    made = services.keys.import_pem(OPERATOR, "acme.test", pem, selector="Old1")
    assert (made.selector, made.algorithm) == ("old1", "ed25519-sha256")
    with pytest.raises(Conflict, match="selector"):
        services.keys.import_pem(OPERATOR, "acme.test", pem, selector="old1")
    with pytest.raises(Invalid):
        services.keys.import_pem(OPERATOR, "acme.test", pem, selector="a b")
    with pytest.raises(Invalid) as refusal:
        services.keys.import_pem(OPERATOR, "acme.test", pem[:80])
    assert pem[40:60].decode() not in str(refusal.value)
    small = _pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    with pytest.raises(Invalid, match="size"):
        services.keys.import_pem(OPERATOR, "acme.test", small)


def test_rotating_where_the_operators_word_stands(services: ControlServices) -> None:
    services.domains.mark_verified(OPERATOR, "acme.test", "a test")
    services.keys.create(OPERATOR, "acme.test", algorithm="ed25519")
    new = services.keys.rotate(OPERATOR, "acme.test")
    assert [(key.algorithm, key.state) for key in new] == [
        ("rsa-sha256", "active"),
        ("ed25519-sha256", "active"),
    ]
    states = [key.state for key in services.keys.list(OPERATOR, domain="acme.test")]
    assert states == ["retiring", "retiring", "active", "active"]


def test_rotating_where_dns_must_show_it_first(control_url: str, make_services: MakeServices) -> None:
    texts: dict[str, list[str]] = {}

    def lookup(name: str) -> list[str]:
        if name not in texts:
            raise NoSuchName(name)
        return texts[name]

    services = make_services(control_url, lookup=lookup)
    services.bootstrap()
    services.tenants.create(OPERATOR, "acme")
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    for record in services.domains.records(OPERATOR, "acme.test"):
        texts[record.name] = [record.value]
    services.domains.verify(OPERATOR, "acme.test")
    (old,) = services.keys.list(OPERATOR, domain="acme.test")
    (new,) = services.keys.rotate(OPERATOR, "acme.test")
    services.domains.verify(OPERATOR, "acme.test")
    assert services.keys.rotate(OPERATOR, "acme.test") == (new,)
    assert len(services.keys.list(OPERATOR, domain="acme.test")) == 2
    assert (services.keys.show(OPERATOR, old.id).state, new.state) == ("active", "pending")
    texts[new.name] = [new.record_value]
    services.domains.verify(OPERATOR, "acme.test")
    states = [services.keys.show(OPERATOR, key.id).state for key in (old, new)]
    assert states == ["retiring", "active"]


def test_activating_and_revoking(services: ControlServices) -> None:
    (key,) = services.keys.list(OPERATOR, domain="acme.test")
    with pytest.raises(Conflict):
        services.keys.activate(OPERATOR, key.id)
    revoked = services.keys.revoke(OPERATOR, key.name)
    assert (revoked.state, revoked.record_value) == ("revoked", "v=DKIM1; k=rsa; p=")
    with pytest.raises(Conflict):
        services.keys.revoke(OPERATOR, key.id)
    with pytest.raises(Conflict, match="no active key"):
        services.keys.rotate(OPERATOR, "acme.test")
    with pytest.raises(NotFound):
        services.keys.show(OPERATOR, "nobody._domainkey.acme.test")


def test_no_private_key_is_in_the_database(services: ControlServices) -> None:
    (key,) = services.keys.list(OPERATOR, domain="acme.test")
    private = open_key(MASTER_KEY.sealer("dkim"), _record(services, key.id))
    with services.writes.view() as session:
        for table in KeyRow.metadata.sorted_tables:
            for row in session.execute(sa.select(table)):
                for value in row:
                    octets = value if isinstance(value, bytes) else str(value).encode()
                    assert private[40:80] not in octets
