"""Trials end with notice; other plans, and trial names under them, do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.app.parts import Ground
from gateway.app.trials import end_trials, notice_of
from gateway.control.tenants.trials import Trial, trials_ending
from gateway.outgoing.queue import tables
from gateway.system.clock import ManualClock
from tests.support.control import OPERATOR
from tests.support.installation import Installation

DAY = 86_400.0


@pytest.fixture
def ground(installation: Installation) -> Ground:
    """An installation whose trials last for 30 days."""
    for tenant, plan in (("trying", "trial"), ("paying", "standard")):
        installation.services.tenants.create(
            OPERATOR, tenant, plan=plan, contacts=[f"boss@{tenant}.example.com"]
        )
    return replace(installation.ground, config=replace(installation.ground.config, trial_days=30))


def status(installation: Installation, tenant: str) -> str:
    return installation.services.tenants.show(OPERATOR, tenant).status


def test_a_trial_is_over_after_its_days_and_a_paying_tenant_goes_on(
    installation: Installation, ground: Ground
) -> None:
    installation.clock.advance(29.9 * DAY)
    assert end_trials(ground) == 0
    installation.clock.advance(0.2 * DAY)
    assert end_trials(ground) == 1
    trying = installation.services.tenants.show(OPERATOR, "trying")
    assert (trying.status, trying.status_reason) == ("suspended", "the trial is over: put it on another plan")
    assert status(installation, "paying") == "active"
    assert end_trials(ground) == 0


def test_contacts_are_told_once_some_days_ahead(installation: Installation, ground: Ground) -> None:
    for days, letters in ((22.5, 0), (1.0, 1), (0.1, 1), (2.0, 1), (2.0, 2), (2.0, 3)):
        installation.clock.advance(days * DAY)
        end_trials(ground)
        sent = [row for row in installation.rows(tables.recipient) if "trying" in row.address]
        assert len(sent) == letters, installation.clock.now()


def test_another_plan_ends_the_trial_and_the_plan_trial_begins_one(
    installation: Installation, ground: Ground
) -> None:
    installation.clock.advance(20 * DAY)
    installation.services.tenants.update(OPERATOR, "trying", plan="standard")
    installation.services.tenants.update(OPERATOR, "paying", plan="trial")
    installation.clock.advance(20 * DAY)
    assert end_trials(ground) == 0
    with installation.services.writes.view() as session:
        [trial] = trials_ending(session, 30 * DAY, installation.clock.now() + 10.5 * DAY)
    assert trial.tenant_id == installation.services.tenants.show(OPERATOR, "paying").id
    installation.clock.advance(10.1 * DAY)
    assert end_trials(ground) == 1
    assert (status(installation, "trying"), status(installation, "paying")) == ("active", "suspended")


def test_who_is_resumed_after_the_trial_gets_another_one(installation: Installation, ground: Ground) -> None:
    installation.clock.advance(30.1 * DAY)
    assert end_trials(ground) == 1
    installation.services.tenants.resume(OPERATOR, "trying")
    assert end_trials(ground) == 0
    installation.clock.advance(29.9 * DAY)
    assert (end_trials(ground), status(installation, "trying")) == (0, "active")
    installation.clock.advance(0.2 * DAY)
    assert (end_trials(ground), status(installation, "trying")) == (1, "suspended")


def test_a_resumption_does_not_lengthen_a_trial_that_runs(installation: Installation, ground: Ground) -> None:
    installation.clock.advance(20 * DAY)
    installation.services.tenants.suspend(OPERATOR, "trying", reason="odd mail")
    installation.services.tenants.resume(OPERATOR, "trying")
    installation.clock.advance(10.1 * DAY)
    assert end_trials(ground) == 1


def test_trials_without_end(installation: Installation, ground: Ground) -> None:
    installation.clock.advance(1_000 * DAY)
    assert end_trials(replace(ground, config=replace(ground.config, trial_days=0))) == 0
    assert status(installation, "trying") == "active"


@pytest.mark.parametrize(
    ("left", "told"), [(7.5, False), (6.5, True), (4, False), (3, True), (0.5, True), (0, False)]
)
def test_days_on_which_contacts_are_told(left: float, told: bool) -> None:
    clock = ManualClock()
    assert (notice_of(Trial("t", clock.now() + left * DAY), clock) is not None) is told
