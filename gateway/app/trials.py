"""Trials end: contacts are told some days ahead, then the tenant is suspended. Nothing is lost by that."""

from __future__ import annotations

import math

import structlog

from gateway.app.desk import control_services
from gateway.app.following import notice_work
from gateway.app.parts import Ground
from gateway.control.records import Actor
from gateway.control.tenants.trials import Trial, trials_ending
from gateway.outgoing.intake.platform import CannotReport
from gateway.outgoing.notices.kinds import Draft, trial_ending
from gateway.outgoing.signing.signer import NoSignature
from gateway.system.clock import Clock

_DAY = 86_400.0
_TOLD_DAYS = (7, 3, 1)
_SYSTEM = Actor(kind="system", id="trials")


def end_trials(ground: Ground) -> int:
    """Suspend tenants whose trial is over, and tell those whose trial ends soon; how many were suspended.

    Raises DatabaseAway: the next run tries again.
    """
    days = ground.config.trial_days
    if not days:
        return 0
    services, now = control_services(ground), ground.clock.now()
    with services.writes.view() as session:
        trials = trials_ending(session, days * _DAY, now + max(_TOLD_DAYS) * _DAY)
    over = [trial for trial in trials if trial.ends_at <= now]
    for trial in over:
        services.tenants.suspend(_SYSTEM, trial.tenant_id, reason="the trial is over: put it on another plan")
    drafts = [draft for trial in trials if (draft := notice_of(trial, ground.clock)) is not None]
    if drafts and ground.config.notices.enabled:
        _tell(ground, drafts)
    return len(over)


def notice_of(trial: Trial, clock: Clock) -> Draft | None:
    """The notice of a trial that ends in 7, 3 or 1 days; None on other days, and when it is over."""
    now = clock.now()
    left = math.ceil((trial.ends_at - now) / _DAY)
    return trial_ending(trial.tenant_id, now, trial.ends_at) if left in _TOLD_DAYS else None


def _tell(ground: Ground, drafts: list[Draft]) -> None:
    try:
        notice_work(ground).tell(drafts)
    except (CannotReport, NoSignature) as error:
        structlog.get_logger("gateway.app").error("trial_notices_put_off", reason=str(error))
