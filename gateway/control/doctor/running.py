"""Running checks side by side: one that hangs or fails is a finding, and holds up no other."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError

import structlog

from gateway.control.doctor.values import Check, Finding
from gateway.control.errors import ServiceError
from gateway.system.database import DatabaseAway

AT_ONCE = 16
SECONDS = 30.0
"""For all checks together. Each bounds its own questions: none holds its thread much longer."""


def run_checks(checks: Sequence[Check], seconds: float = SECONDS) -> list[Finding]:
    """What all of them find, in their order."""
    threads = ThreadPoolExecutor(AT_ONCE, "doctor")
    try:
        running = [(check, threads.submit(_findings, check)) for check in checks]
        return [finding for check, future in running for finding in _outcome(check, future, seconds)]
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _findings(check: Check) -> list[Finding]:
    found = check.run()
    return [found] if isinstance(found, Finding) else list(found)


def _outcome(check: Check, future: Future[list[Finding]], seconds: float) -> list[Finding]:
    try:
        return future.result(seconds)
    except TimeoutError:
        return [_unanswered(check, f"it took more than {seconds:g} s")]
    except (OSError, DatabaseAway) as error:
        return [_unanswered(check, str(error) or type(error).__name__)]
    except ServiceError as error:
        return [_unanswered(check, error.detail)]
    except Exception as error:  # noqa: BLE001 - a mistake in one check must not hide what the others found
        structlog.get_logger("gateway.doctor").error("check_failed", check=check.name, exc_info=error)
        return [_unanswered(check, f"the check itself failed: {type(error).__name__}")]


def _unanswered(check: Check, why: str) -> Finding:
    return Finding(
        check.name,
        check.subject,
        "amber",
        f"This could not be looked at: {why}.",
        "Run `gatepost doctor` again; if it stays so, look for check_failed in the gateway's log.",
    )
