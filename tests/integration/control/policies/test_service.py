"""Policies in a real control database: all or nothing, versions kept, followed by directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.directory import Directory
from gateway.control.errors import Conflict, Forbidden, NotFound
from gateway.control.installation.model import HeadRow
from gateway.control.policies.model import PolicyRow
from gateway.control.policies.packaged import packaged_documents, packaged_policies
from gateway.control.policies.service import InvalidDocuments
from gateway.control.services import ControlServices
from gateway.system.clock import ManualClock
from tests.support.control import OPERATOR, limited

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes documents into a folder: `write(strict="…", plans__small="…")`."""

    def into(**documents: str) -> Path:
        folder = tmp_path / "documents"
        for name, text in documents.items():
            file = folder / (name.replace("__", "/") + ".toml")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return folder

    return into


def revision(services: ControlServices) -> int:
    """The control plane's revision."""
    with services.writes.view() as session:
        return session.scalars(sa.select(HeadRow.revision)).one()


def test_first_start_loads_the_packaged_documents(control_services: ControlServices) -> None:
    names = {view.name: view for view in control_services.policies.list(OPERATOR)}
    packaged = {one.name: one for one in packaged_documents() if one.kind == "policy"}
    assert set(names) == set(packaged)
    assert names["default"].version == 1
    assert names["default"].document == packaged["default"].text
    assert names["default"].created_by == "system:bootstrap"
    plans = {plan.name for plan in control_services.plans.list(OPERATOR)}
    assert plans == {one.name for one in packaged_documents() if one.kind == "plan"}


def test_a_second_start_leaves_the_operators_documents(
    control_services: ControlServices, write: Write
) -> None:
    folder = write(default="# ours now\n", plans__free="[limits.account]\nmessages_per_day = 1\n")
    control_services.policies.apply(OPERATOR, folder)
    before = revision(control_services)
    control_services.bootstrap()
    assert revision(control_services) == before
    assert control_services.policies.show(OPERATOR, "default").document == "# ours now\n"
    assert control_services.policies.show(OPERATOR, "plans/free").version == 2


def test_plan_and_apply(control_services: ControlServices, write: Write) -> None:
    folder = write(strict='extends = "default"\n[limits]\nmessage_bytes = "1 MiB"\n')
    before = revision(control_services)
    planned = control_services.policies.plan(OPERATOR, folder)
    assert [(one.name, one.change, one.version) for one in planned] == [("strict", "new", 1)]
    assert revision(control_services) == before
    with pytest.raises(NotFound):
        control_services.policies.show(OPERATOR, "strict")
    assert control_services.policies.apply(OPERATOR, folder) == planned
    assert revision(control_services) == before + 1

    write(strict='extends = "default"\n[limits]\nmessage_bytes = "2 MiB"\n')
    (change,) = control_services.policies.apply(OPERATOR, folder / "strict.toml")
    assert (change.change, change.version) == ("changed", 2)
    assert [(key.key, key.before, key.after) for key in change.keys] == [
        ("limits.message_bytes", "1 MiB", "2 MiB")
    ]
    (again,) = control_services.policies.apply(OPERATOR, folder)
    assert (again.change, again.version) == ("unchanged", 2)
    assert revision(control_services) == before + 2


def test_versions_stay(control_services: ControlServices, write: Write) -> None:
    for size in (1, 2, 3):
        text = f'[limits]\nmessage_bytes = "{size} MiB"\n'
        control_services.policies.apply(OPERATOR, write(strict=text))
    assert [one.version for one in control_services.policies.versions(OPERATOR, "strict")] == [3, 2, 1]
    first = control_services.policies.show(OPERATOR, "strict", 1)
    assert first.data == {"limits": {"message_bytes": "1 MiB"}}
    assert control_services.policies.show(OPERATOR, first.id).version == 3
    with pytest.raises(NotFound):
        control_services.policies.show(OPERATOR, "strict", 4)


def test_documents_are_read_again_only_when_others_are_in_force(
    control_services: ControlServices, write: Write
) -> None:
    policies = control_services.policies
    before = policies.policy_set()
    assert policies.policy_set() is before
    policies.apply(OPERATOR, write(narrow="[limits]\nrecipients_per_message = 1\n"))
    after = policies.policy_set()
    assert after.get("policy", "narrow") is not None
    assert policies.policy_set() is after
    with control_services.writes.rehearsal(OPERATOR) as change:
        within = control_services.within(change).policies
        within.apply(OPERATOR, write(narrow="[limits]\nrecipients_per_message = 2\n"))
        tried = within.policy_set().get("policy", "narrow")
        assert tried is not None
        assert tried.version == 2
    assert policies.policy_set().get("policy", "narrow") == after.get("policy", "narrow")


def test_mistakes_apply_nothing(control_services: ControlServices, write: Write) -> None:
    folder = write(
        good="[limits]\nmessage_bytes = 5\n",
        bad="[limits]\nmesage_bytes = 5\nrecipients_per_message = 0\n",
        plans__worse="x = [",
    )
    before = revision(control_services)
    for method in (control_services.policies.plan, control_services.policies.apply):
        with pytest.raises(InvalidDocuments) as caught:
            method(OPERATOR, folder)
        problems = caught.value.problems
        assert [(Path(one.file).name, one.line, one.key) for one in problems] == [
            ("bad.toml", 2, "limits.mesage_bytes"),
            ("bad.toml", 3, "limits.recipients_per_message"),
            ("worse.toml", 1, ""),
        ]
        assert caught.value.detail.count("\n") == 2
    assert revision(control_services) == before
    with pytest.raises(NotFound):
        control_services.policies.show(OPERATOR, "good")


def test_mistakes_between_documents(control_services: ControlServices, write: Write) -> None:
    folder = write(
        lost='# a parent that is not there\nextends = "defualt"\n',
        round='extends = "about"\n',
        about='extends = "round"\n',
        itself='extends = "itself"\n',
        away='extends = "default"\n[residency]\nlocation = "moon"\n',
        plans__lost='extends = "default"\n',
    )
    with pytest.raises(InvalidDocuments) as caught:
        control_services.policies.apply(OPERATOR, folder)
    said = {(Path(one.file).parent.name, Path(one.file).name): one for one in caught.value.problems}
    assert len(said) == len(caught.value.problems) == 6
    lost = said["documents", "lost.toml"]
    assert (lost.line, lost.key) == (2, "extends")
    assert 'did you mean "default"?' in lost.message
    assert "circle" in said["documents", "round.toml"].message
    assert "circle" in said["documents", "itself.toml"].message
    assert "known: default, eu" in said["documents", "away.toml"].message
    assert 'there is no plan "default"' in said["plans", "lost.toml"].message


def test_a_circle_through_a_stored_document(control_services: ControlServices, write: Write) -> None:
    """`free` extends `default` already."""
    with pytest.raises(InvalidDocuments, match="circle"):
        control_services.policies.apply(OPERATOR, write(default='extends = "free"\n'))


def test_own_workspace_above_the_plan(control_services: ControlServices, write: Write) -> None:
    control_services.policies.apply(
        OPERATOR, write(mine="[limits.account]\nmessages_per_day = 50\n", base="")
    )
    control_services.tenants.create(OPERATOR, "acme", plan="trial")
    control_services.workspaces.create(OPERATOR, "main", tenant="acme", policy="mine")
    control_services.workspaces.create(OPERATOR, "everybody", policy="mine")
    folder = write(mine="# more\n[limits.account]\nmessages_per_day = 101\nmessages_per_hour = 5\n")
    with pytest.raises(InvalidDocuments) as caught:
        control_services.policies.apply(OPERATOR, folder)
    (problem,) = caught.value.problems
    assert (Path(problem.file).name, problem.line) == ("mine.toml", 3)
    assert problem.message == (
        "limits.account.messages_per_day: 101 (policy mine) is above the plan's 100 (plan trial), "
        "in workspace main of tenant acme"
    )
    with pytest.raises(InvalidDocuments, match="in workspace main of tenant acme"):
        (folder / "mine.toml").unlink()
        control_services.policies.apply(
            OPERATOR, write(plans__trial="[limits.account]\nmessages_per_day = 49\n")
        )


def test_what_a_smaller_plan_bound_already_stops_no_other_change(
    control_services: ControlServices, write: Write
) -> None:
    folder = write(mine="[limits.account]\nmessages_per_day = 500\nmessages_per_hour = 5\n")
    control_services.policies.apply(OPERATOR, folder)
    control_services.tenants.create(OPERATOR, "acme")
    control_services.workspaces.create(OPERATOR, "main", tenant="acme", policy="mine")
    control_services.tenants.update(OPERATOR, "acme", plan="trial")
    write(mine="# lower\n[limits.account]\nmessages_per_day = 500\nmessages_per_hour = 4\n")
    control_services.policies.apply(OPERATOR, folder)
    assert control_services.policies.show(OPERATOR, "mine").version == 2
    write(mine="[limits.account]\nmessages_per_day = 501\nmessages_per_hour = 4\n")
    with pytest.raises(InvalidDocuments, match="messages_per_day: 501"):
        control_services.policies.apply(OPERATOR, folder)


def test_shared_workspace_may_be_above_plans(control_services: ControlServices, write: Write) -> None:
    """There the smaller holds, worked out for each tenant."""
    control_services.policies.apply(OPERATOR, write(mine="[limits.account]\nmessages_per_day = 5000\n"))
    control_services.workspaces.create(OPERATOR, "everybody", policy="mine")
    policies = control_services.policies.policy_set()
    trial = policies.resolve("mine", "trial", shared=True).account.messages_per_day
    assert (trial.value, trial.source) == (100, "plan trial")
    standard = policies.resolve("mine", "standard", shared=True).account.messages_per_day
    assert (standard.value, standard.source) == (5000, "policy mine")


def test_every_change_is_audited_and_in_the_log(control_services: ControlServices, write: Write) -> None:
    control_services.policies.apply(OPERATOR, write(strict="# one\n"))
    control_services.policies.apply(OPERATOR, write(strict="# two\n"))
    view = control_services.policies.show(OPERATOR, "strict")
    with control_services.writes.view() as session:
        rows = session.execute(
            sa.select(AuditEntryRow.operation, AuditPayloadRow.before, AuditPayloadRow.after)
            .join(AuditPayloadRow, AuditPayloadRow.number == AuditEntryRow.number)
            .where(AuditEntryRow.resource_id == view.id)
            .order_by(AuditEntryRow.number)
        ).all()
    assert [row.operation for row in rows] == ["policy.apply", "policy.apply"]
    assert rows[0].before is None
    assert "# one" in rows[1].before
    assert "# two" in rows[1].after


def test_directories_follow(control_services: ControlServices, write: Write) -> None:
    """What an account may do changes with the document, in every process's memory."""
    tenant = control_services.tenants.create(OPERATOR, "acme")
    workspace = control_services.workspaces.create(OPERATOR, "main", tenant="acme")
    directory = Directory(control_services.writes.database, clock=ManualClock())
    try:
        directory.refresh()
        assert directory.effective_policy(tenant.id, workspace.id).message_bytes.value is None
        control_services.policies.apply(OPERATOR, write(default="[limits]\nmessage_bytes = 77\n"))
        directory.refresh()
        policy = directory.effective_policy(tenant.id, workspace.id)
        assert (policy.message_bytes.value, policy.version) == (77, 2)
        assert [(one.source, one.version) for one in policy.documents] == [
            ("policy default", 2),
            ("plan standard", 1),
        ]
    finally:
        directory.stop()


def test_tenants_see_the_policies_that_bind_them_and_change_none(
    control_services: ControlServices, write: Write
) -> None:
    control_services.policies.apply(OPERATOR, write(secret="# another customer's\n", mine="# acme's\n"))
    acme = control_services.tenants.create(OPERATOR, "acme")
    control_services.tenants.create(OPERATOR, "other")
    control_services.workspaces.create(OPERATOR, "main", tenant="acme", policy="mine")
    control_services.workspaces.create(OPERATOR, "theirs", tenant="other", policy="secret")
    caller = limited(acme.id)
    assert {view.name for view in control_services.policies.list(caller)} == {
        "default",
        "development",
        "mine",
        "staging",
    }
    with pytest.raises(NotFound):
        control_services.policies.show(caller, "secret")
    for method in (control_services.policies.plan, control_services.policies.apply):
        with pytest.raises(Forbidden):
            method(caller, write(mine="# mine to change?\n"))


def test_a_policy_that_a_tenant_may_not_read_is_not_there_for_its_workspaces(
    control_services: ControlServices, write: Write
) -> None:
    """Named in a workspace of its own it could be read: a guess of its name would be enough."""
    control_services.policies.apply(OPERATOR, write(secret="# another customer's\n"))
    acme, workspaces = control_services.tenants.create(OPERATOR, "acme"), control_services.workspaces
    control_services.tenants.create(OPERATOR, "other")
    workspaces.create(OPERATOR, "theirs", tenant="other", policy="secret")
    caller = limited(acme.id)
    own = workspaces.create(caller, "own", tenant="acme")
    secret = control_services.policies.show(OPERATOR, "secret")
    for name in ("secret", secret.id, "nothing"):
        expected = f"There is no policy '{name}'."
        with pytest.raises(NotFound) as made:
            workspaces.create(caller, "spy", tenant="acme", policy=name)
        with pytest.raises(NotFound) as changed:
            workspaces.update(caller, own.id, policy=name)
        assert made.value.detail == changed.value.detail == expected
    with pytest.raises(NotFound):
        control_services.policies.show(caller, "secret")
    workspaces.update(OPERATOR, own.id, policy="secret")
    assert control_services.policies.show(caller, "secret").document == secret.document
    assert workspaces.create(caller, "second", tenant="acme", policy="secret").policy == "secret"


@pytest.mark.parametrize("name", packaged_policies())
def test_a_tenant_chooses_any_packaged_policy_that_its_plan_allows(
    control_services: ControlServices, name: str
) -> None:
    acme = control_services.tenants.create(OPERATOR, "acme", plan="enterprise")
    made = control_services.workspaces.create(limited(acme.id), "own", tenant="acme", policy=name)
    assert made.policy == name
    assert control_services.policies.show(limited(acme.id), name).name == name


def test_a_policy_chosen_by_its_id_binds_by_its_name(control_services: ControlServices) -> None:
    free = control_services.policies.show(OPERATOR, "free")
    assert control_services.workspaces.create(OPERATOR, "one", policy=free.id).policy == "free"
    default = control_services.policies.show(OPERATOR, "default")
    assert control_services.workspaces.update(OPERATOR, "one", policy=default.id).policy == "default"


def test_names_are_unique_whatever_happens(control_services: ControlServices) -> None:
    """The database itself refuses a second policy of a name."""
    with pytest.raises(Conflict), control_services.writes.change(OPERATOR) as change:
        change.add(PolicyRow(id=change.ids.uuid(), name="default", version=1, created_at=0.0, updated_at=0.0))
