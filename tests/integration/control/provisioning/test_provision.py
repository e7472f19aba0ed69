"""One request, one working identity: what it makes, what it leaves alone, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.conditions import AlreadyDone, Conditions, Once
from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.installation.model import HeadRow
from gateway.control.keys.material import KeyMaterial, make_key
from gateway.control.keys.service import KeyService
from gateway.control.records import KeyAlgorithm
from gateway.control.services import ControlServices
from gateway.control.tenants.model import TenantRow
from tests.integration.control.provisioning.requests import request
from tests.support.control import OPERATOR, SETTINGS, limited

TRIAL = "acme.trial.gatepost.test"


def revision(services: ControlServices) -> int:
    """The control plane's revision."""
    with services.writes.view() as session:
        return session.scalars(sa.select(HeadRow.revision)).one()


def test_a_new_customer_can_send_from_its_trial_address(control_services: ControlServices) -> None:
    before = revision(control_services)
    made = control_services.provisioning.provision(
        OPERATOR,
        request(tenant_plan="free", tenant_contacts=("ops@acme.example",), account_display_name="Bob"),
    )
    assert revision(control_services) == before + 1
    assert (made.address, made.login, made.status, made.created) == (
        f"bob@{TRIAL}",
        f"bob@{TRIAL}",
        "active",
        True,
    )
    assert (made.domain.name, made.domain.state, made.pending_address) == (TRIAL, "active", None)
    assert made.shard is not None
    assert (made.shard.name, made.shard.state, made.shard.environment) == (
        f"s1.mail.{TRIAL}",
        "active",
        "production",
    )
    assert (made.workspace, made.assignment, made.fix) == ("default", "auto", None)
    tenant = control_services.tenants.show(OPERATOR, made.tenant_id)
    assert (tenant.name, tenant.plan, tenant.contacts) == ("Acme", "free", ("ops@acme.example",))
    account = control_services.accounts.show(OPERATOR, made.grant_id)
    assert (account.smtp, account.imap, account.display_name) == (True, False, "Bob")
    (password,) = control_services.credentials.list(OPERATOR, made.grant_id)
    assert made.app_password is not None
    assert password.key_id == made.app_password[3:10]
    (key,) = control_services.keys.list(OPERATOR, domain=TRIAL)
    assert key.state == "active"


def test_a_custom_domain_is_claimed_and_its_address_waits(control_services: ControlServices) -> None:
    made = control_services.provisioning.provision(OPERATOR, request(domain="acme.example"))
    assert (made.address, made.pending_address) == (f"bob@{TRIAL}", "bob@acme.example")
    assert (made.domain.name, made.domain.state) == ("acme.example", "pending")
    purposes = [(record.purpose, record.name) for record in made.domain.records if record.required]
    assert ("ownership", "_gatepost-challenge.acme.example") in purposes
    assert ("return-path", "s1.mail.acme.example") in purposes
    assert {purpose for purpose, _ in purposes} == {"ownership", "dkim", "return-path", "spf"}
    shards = {shard.name for shard in control_services.shards.list(OPERATOR, tenant="acme")}
    assert shards == {f"s1.mail.{TRIAL}", "s1.mail.acme.example"}
    assert made.shard is not None
    assert made.shard.name == f"s1.mail.{TRIAL}"
    (waiting,) = control_services.domains.waiting(OPERATOR, "acme.example")
    assert (waiting.grant_id, waiting.address, waiting.reason) == (made.grant_id, "bob@acme.example", None)


def test_a_second_account_uses_what_is_there(control_services: ControlServices) -> None:
    first = control_services.provisioning.provision(OPERATOR, request(domain="acme.example"))
    control_services.domains.mark_verified(OPERATOR, "acme.example", "told on the phone")
    second = control_services.provisioning.provision(
        OPERATOR, request("acme", "eve", domain="ACME.example", tenant_plan="enterprise", app_password=False)
    )
    assert (second.address, second.pending_address, second.app_password) == ("eve@acme.example", None, None)
    assert second.fix is not None
    assert "app-password create eve@acme.example" in second.fix
    assert second.tenant_id == first.tenant_id
    assert second.shard is not None
    assert second.shard.name == "s1.mail.acme.example"
    tenant = control_services.tenants.show(OPERATOR, "acme")
    assert (tenant.plan, len(tenant.domains), len(tenant.shards)) == ("standard", 2, 2)


@pytest.mark.parametrize("environment", ["staging", "development"])
def test_a_test_environment_has_its_own_name_and_captures(
    control_services: ControlServices, environment: str
) -> None:
    control_services.provisioning.provision(OPERATOR, request())
    made = control_services.provisioning.provision(OPERATOR, request(environment=environment))
    assert made.address == f"bob@acme-{environment}.trial.gatepost.test"
    assert (made.workspace, made.environment) == (environment, environment)
    assert made.shard is not None
    assert (made.shard.route, made.shard.environment) == ("capture:", environment)


def test_shards_follow_the_policy(control_services: ControlServices, tmp_path: Path) -> None:
    for name, zone in (("near", "tenant"), ("far", "trial")):
        text = f'extends = "default"\n[sharding]\nzone = "{zone}"\nnames = ["t.mail", "b.mail"]\n'
        (tmp_path / f"{name}.toml").write_text(text)
    control_services.policies.apply(OPERATOR, tmp_path)
    for name in ("near", "far"):
        control_services.workspaces.create(OPERATOR, name, policy=name)
        domain = f"{name}.example"
        made = control_services.provisioning.provision(OPERATOR, request(name, domain=domain, workspace=name))
        assert (made.workspace, made.assignment) == (name, "explicit")
        shards = {shard.name for shard in control_services.shards.list(OPERATOR, tenant=name)}
        trial = {f"t.mail.{name}.trial.gatepost.test", f"b.mail.{name}.trial.gatepost.test"}
        own = {f"t.mail.{domain}", f"b.mail.{domain}"}
        assert shards == (trial | own if name == "near" else trial)


def test_patterns_are_asked_about_the_domain_to_come(control_services: ControlServices) -> None:
    control_services.workspaces.create(OPERATOR, "vip", patterns=["acme.example"])
    made = control_services.provisioning.provision(OPERATOR, request(domain="acme.example"))
    assert (made.workspace, made.assignment) == ("vip", "auto")


def test_the_same_client_id_gives_the_same_grant(control_services: ControlServices) -> None:
    first = control_services.provisioning.provision(
        OPERATOR, request(domain="acme.example", account_client_id="u-1", tenant_client_id="c-1")
    )
    before = revision(control_services)
    for again in (
        request(domain="acme.example", account_client_id="u-1", tenant_client_id="c-1"),
        request(None, "other", account_client_id="u-1", tenant_client_id="c-1"),
    ):
        found = control_services.provisioning.provision(OPERATOR, again)
        assert found.created is False
        assert found.app_password is None
        assert found.fix is not None
        assert "app-password create" in found.fix
        assert replace(found, created=True) == replace(first, app_password=None, fix=found.fix)
    assert revision(control_services) == before
    other = control_services.provisioning.provision(OPERATOR, request("Globex", account_client_id="u-1"))
    assert other.grant_id != first.grant_id


def test_an_idempotency_key_gives_the_first_result(control_services: ControlServices) -> None:
    once = Once("cli:tester", "k-1", "hash")
    actor = replace(OPERATOR, conditions=Conditions(once=once))
    first = control_services.provisioning.provision(actor, request())
    with pytest.raises(AlreadyDone) as done:
        control_services.provisioning.provision(actor, request())
    result = done.value.result
    assert (result["grant_id"], result["address"], result["app_password"]) == (
        first.grant_id,
        first.address,
        None,
    )
    assert "app-password create" in result["fix"]
    other = replace(OPERATOR, conditions=Conditions(once=replace(once, request_hash="another")))
    with pytest.raises(Conflict, match="another request"):
        control_services.provisioning.provision(other, request(local_part="eve"))


def test_a_chosen_password(control_services: ControlServices) -> None:
    chosen = "Chosen-password-123"
    made = control_services.provisioning.provision(OPERATOR, request(app_password=chosen))
    assert made.app_password == chosen
    assert chosen not in repr(made)
    with control_services.writes.view() as session:
        texts = session.execute(sa.select(AuditPayloadRow.before, AuditPayloadRow.after)).all()
    assert chosen not in str(texts)
    with pytest.raises(Invalid, match="18 to 40"):
        control_services.provisioning.provision(OPERATOR, request(local_part="eve", app_password="short"))


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"smtp": False}, Invalid, "no-protocol-on"),
        ({"local_part": "a@b"}, Invalid, "bad-address"),
        ({"local_part": ""}, Invalid, "bad-address"),
        ({"environment": "moon"}, Invalid, "bad-environment"),
        ({"domain": "co.uk"}, Invalid, "public-suffix"),
        ({"tenant_plan": "diamond"}, NotFound, "plan-not-found"),
        ({"workspace": "nowhere"}, NotFound, "workspace-not-found"),
        ({"workspace": "staging"}, Conflict, "environment-differs"),
        ({"tenant": None}, Invalid, "no-tenant"),
        ({"tenant": None, "tenant_client_id": "nobody"}, NotFound, "tenant-not-found"),
        ({"tenant": "01890000-0000-7000-8000-000000000000"}, NotFound, "tenant-not-found"),
        ({"account_metadata": {"x" * 200: "y"}}, Invalid, "bad-metadata"),
    ],
)
def test_a_refused_request_leaves_nothing(
    control_services: ControlServices, options: dict[str, object], error: type[Exception], code: str
) -> None:
    before = revision(control_services)
    with pytest.raises(error) as refused:
        control_services.provisioning.provision(OPERATOR, request(**options))  # type: ignore[arg-type]
    assert refused.value.code == code  # type: ignore[attr-defined]
    assert revision(control_services) == before
    with control_services.writes.view() as session:
        assert session.scalars(sa.select(TenantRow.name)).all() == ["platform"]


def test_what_is_taken_or_of_another_environment(control_services: ControlServices) -> None:
    provision = control_services.provisioning.provision
    provision(OPERATOR, request(domain="acme.example"))
    with pytest.raises(Conflict, match="is taken"):
        provision(OPERATOR, request())
    with pytest.raises(Conflict, match="staging"):
        provision(OPERATOR, request(local_part="eve", domain="acme.example", environment="staging"))
    control_services.accounts.create(OPERATOR, "eve@acme.example", tenant="acme")
    with pytest.raises(Conflict, match=r"eve@acme\.example is taken"):
        provision(OPERATOR, request(local_part="eve", domain="acme.example"))
    with pytest.raises(Conflict, match="another client_id"):
        provision(OPERATOR, request("Other", tenant_client_id="c-1"))
        provision(OPERATOR, request("Other", "eve", tenant_client_id="c-2"))


def test_a_tenants_key_provisions_within_its_tenant_only(control_services: ControlServices) -> None:
    provision = control_services.provisioning.provision
    mine = provision(OPERATOR, request())
    theirs = provision(OPERATOR, request("Globex"))
    key = limited(mine.tenant_id)
    assert provision(key, request(None, "eve")).tenant_id == mine.tenant_id
    assert provision(key, request("Acme", "joe", domain="acme.example")).tenant_id == mine.tenant_id
    for name in ("Globex", theirs.tenant_id, "Nobody"):
        with pytest.raises(NotFound):
            provision(key, request(name, "eve"))
    with pytest.raises(Forbidden):
        provision(replace(key, environment="staging"), request(None, "zoe", domain="other.example"))


def test_each_part_is_in_the_audit(control_services: ControlServices) -> None:
    control_services.provisioning.provision(OPERATOR, request(domain="acme.example"))
    with control_services.writes.view() as session:
        operations = session.scalars(
            sa.select(AuditEntryRow.operation)
            .where(AuditEntryRow.actor_id == OPERATOR.id)
            .order_by(AuditEntryRow.number)
        ).all()
    assert operations == [
        "tenant.create",
        "domain.add",
        "domain.add-trial",
        "account.create",
        "shard.create",
        "shard.create",
        "app-password.create",
    ]


def test_no_key_is_made_for_what_is_there(control_services: ControlServices) -> None:
    made: list[int] = []

    def counting(algorithm: KeyAlgorithm, bits: int) -> KeyMaterial:
        made.append(bits)
        return make_key(algorithm, bits)

    services = replace(
        control_services,
        keys=KeyService(control_services.writes, control_services.keys._vault, counting, SETTINGS),
    )
    services.provisioning.provision(OPERATOR, request(domain="acme.example"))
    assert len(made) == 2
    services.provisioning.provision(OPERATOR, request(local_part="eve"))
    services.provisioning.provision(OPERATOR, request(local_part="joe", domain="acme.example"))
    assert len(made) == 2


def test_two_claims_on_one_domain_have_two_shards(control_services: ControlServices) -> None:
    control_services.provisioning.provision(OPERATOR, request("Acme", domain="shared.example"))
    made = control_services.provisioning.provision(OPERATOR, request("Globex", domain="shared.example"))
    shards = {shard.name for shard in control_services.shards.list(OPERATOR, tenant="Globex")}
    assert "s1-2.mail.shared.example" in shards
    assert made.pending_address == "bob@shared.example"


def test_what_is_being_deleted_is_not_given_as_if_it_worked(control_services: ControlServices) -> None:
    asked = request(account_client_id="u-1")
    made = control_services.provisioning.provision(OPERATOR, asked)
    control_services.deletion.delete_account(OPERATOR, made.grant_id)
    with pytest.raises(Conflict) as refused:
        control_services.provisioning.provision(OPERATOR, asked)
    assert refused.value.code == "account-deleting"
    assert f"account restore {made.address}" in refused.value.fix
    (row,) = control_services.provisioning.provision_batch(OPERATOR, [request()])
    assert (row.status, row.code) == ("failed", "account-deleting")
    control_services.deletion.restore_account(OPERATOR, made.grant_id)
    assert control_services.provisioning.provision(OPERATOR, asked).grant_id == made.grant_id


def test_what_is_suspended_says_so_and_what_resumes_it(control_services: ControlServices) -> None:
    provision = control_services.provisioning.provision
    made = provision(OPERATOR, request("Acme & Sons", account_client_id="u-1"))
    control_services.tenants.suspend(OPERATOR, "Acme & Sons")
    again = provision(OPERATOR, request("Acme & Sons", account_client_id="u-1"))
    fresh = provision(OPERATOR, request("Acme & Sons", "eve"))
    assert (again.grant_id, again.status, fresh.status) == (made.grant_id, "suspended", "suspended")
    assert fresh.app_password is not None
    for one in (again, fresh):
        assert one.fix is not None
        assert "gatepost tenant resume 'Acme & Sons'" in one.fix
    control_services.tenants.resume(OPERATOR, "Acme & Sons")
    control_services.accounts.update(OPERATOR, made.grant_id, suspended=True)
    stopped = provision(OPERATOR, request("Acme & Sons", account_client_id="u-1"))
    assert stopped.status == "suspended"
    assert stopped.fix is not None
    assert f"gatepost account resume {made.address}" in stopped.fix


def test_the_way_to_a_password_begins_with_a_protocol(control_services: ControlServices) -> None:
    made = control_services.provisioning.provision(OPERATOR, request(smtp=False, app_password=False))
    assert made.fix is not None
    before, _, after = made.fix.partition(", then ")
    assert f"account update {made.address} --smtp" in before
    assert f"app-password create {made.address}" in after
    control_services.accounts.update(OPERATOR, made.address, smtp=True)
    assert control_services.credentials.create(OPERATOR, made.address)[1]
