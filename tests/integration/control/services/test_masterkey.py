"""The master key over a database: the wrong one refused, rotation, crashes in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.control.errors import Forbidden, Unavailable
from gateway.control.installation.service import Installation, check_before_upgrade
from gateway.control.services import ControlServices
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from gateway.system.secrets import MasterKey, SecretError
from tests.support.control import OPERATOR, MakeServices, limited


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "master.key"
    MasterKey.create(path)
    return path


@pytest.fixture
def services(control_url: str, make_services: MakeServices, key_file: Path) -> ControlServices:
    services = make_services(control_url, master_key=MasterKey.load(key_file))
    services.bootstrap()
    services.tenants.create(OPERATOR, "acme")
    services.shards.create(OPERATOR, "s1.acme.test", tenant="acme", route="smtps://me:word@relay.test")
    services.webhooks.create(OPERATOR, url="https://hooks.acme.test/", tenant="acme")
    return services


def test_the_wrong_key_is_refused_and_nothing_is_touched(
    services: ControlServices, control_url: str, make_services: MakeServices, tmp_path: Path
) -> None:
    wrong = MasterKey.create(tmp_path / "wrong.key")
    with services.writes.view() as session:
        before = session.connection().exec_driver_sql("SELECT * FROM master_keys").all()
    with pytest.raises(SecretError, match="is not this installation's master key"):
        make_services(control_url, master_key=wrong)
    with pytest.raises(SecretError, match="is not this installation's master key"):
        check_before_upgrade(services.writes.database, wrong)
    with services.writes.view() as session:
        assert session.connection().exec_driver_sql("SELECT * FROM master_keys").all() == before


def test_opening_again_gives_the_same_lasting_keys(
    services: ControlServices, control_url: str, key_file: Path
) -> None:
    with Database.open(control_url, purpose="control") as database:
        again = Installation.open(database, MasterKey.load(key_file), ManualClock())
    assert again.durable_key("x") == services.installation.durable_key("x")
    assert again.durable_key("x") != again.durable_key("y")


def test_rotating_seals_everything_anew(
    services: ControlServices, control_url: str, make_services: MakeServices, key_file: Path
) -> None:
    old = MasterKey.load(key_file)
    lasting = services.installation.durable_key("credential-tag")
    rotation = services.master_key.rotate(OPERATOR)
    assert rotation.key_ids[1:] == old.key_ids
    # The root secret, two keys (platform, acme), a route and a webhook's secret.
    assert rotation.resealed == 5
    # The new key alone opens everything; the old one is refused.
    services.master_key.finish(OPERATOR)
    new = MasterKey.load(key_file)
    assert new.key_ids == rotation.key_ids[:1]
    again = make_services(control_url, master_key=new)
    assert again.installation.durable_key("credential-tag") == lasting
    assert again.audit.verify().whole
    with pytest.raises(SecretError):
        make_services(control_url, master_key=old)
    assert again.keys.create(OPERATOR, again.tenants.show(OPERATOR, "acme").domains[0]).state == "active"


def test_a_process_with_the_old_key_goes_on(
    services: ControlServices, control_url: str, make_services: MakeServices, key_file: Path
) -> None:
    running = make_services(control_url, master_key=MasterKey.load(key_file))
    services.master_key.rotate(OPERATOR)
    services.master_key.finish(OPERATOR)
    made = running.keys.create(OPERATOR, running.tenants.show(OPERATOR, "acme").domains[0])
    assert made.state == "active"
    assert (
        make_services(control_url, master_key=MasterKey.load(key_file)).keys.show(OPERATOR, made.id) == made
    )


def test_a_process_whose_file_lacks_the_new_key_is_told(
    services: ControlServices, control_url: str, make_services: MakeServices, key_file: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "other-node.key"
    copy.write_bytes(key_file.read_bytes())
    copy.chmod(0o600)
    other = make_services(control_url, master_key=MasterKey.load(copy))
    services.master_key.rotate(OPERATOR)
    with pytest.raises(Unavailable, match="was rotated"):
        other.keys.create(OPERATOR, other.tenants.show(OPERATOR, "acme").domains[0])


def test_a_crash_between_file_and_database_is_mended_by_running_again(
    services: ControlServices, control_url: str, make_services: MakeServices, key_file: Path
) -> None:
    MasterKey.load(key_file).add_new()
    after_crash = make_services(control_url, master_key=MasterKey.load(key_file))
    with pytest.raises(Unavailable, match="rotate"):
        after_crash.master_key.finish(OPERATOR)
    rotation = after_crash.master_key.rotate(OPERATOR)
    assert (len(rotation.key_ids), rotation.resealed) == (2, 5)
    assert after_crash.master_key.finish(OPERATOR).key_ids == rotation.key_ids[:1]


def test_the_master_key_is_the_operators(services: ControlServices) -> None:
    caller = limited(services.tenants.show(OPERATOR, "acme").id)
    for call in (services.master_key.rotate, services.master_key.finish):
        with pytest.raises(Forbidden):
            call(caller)


def test_the_audit_of_a_rotation_has_no_secret(services: ControlServices, key_file: Path) -> None:
    services.master_key.rotate(OPERATOR)
    entry = services.audit.list(OPERATOR, operation="master-key.rotate")[0]
    for line in key_file.read_text().split():
        assert line.partition(":")[2][:16] not in str(entry)


def test_an_empty_database_takes_any_key(database_url: str, tmp_path: Path) -> None:
    with Database.open(database_url, purpose="control") as database:
        check_before_upgrade(database, MasterKey.create(tmp_path / "any.key"))
