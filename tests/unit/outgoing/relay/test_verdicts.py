"""From replies to outcomes and reports."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.outgoing.queue import OutcomeKind, StoredMessage
from gateway.outgoing.relay.replies import PeerReply
from gateway.outgoing.relay.transaction import Sent
from gateway.outgoing.relay.verdicts import Fate, fates_of, judge, judge_late, outcomes_of
from tests.integration.outgoing.relay.parts import NOW, recipient

HOUR = 3600.0


def message(**changes: Any) -> StoredMessage:
    values: dict[str, Any] = {
        "id": "0" * 26,
        "tenant_id": "tenant-1",
        "account_id": "account-1",
        "workspace_id": "workspace-1",
        "environment": "production",
        "origin": "submission",
        "stream": "default",
        "reverse_path": "a@acme.example",
        "from_address": "a@acme.example",
        "from_domain": "acme.example",
        "size": 100,
        "received_at": NOW,
        "header_message_id": None,
        "envid": None,
        "ret": None,
        "smtputf8": False,
        "eightbit": False,
    }
    return StoredMessage(**(values | changes))


def half() -> float:
    return 0.5


def fate(text: str, who: Any = None, **changes: Any) -> Fate:
    code, _, rest = text.partition(" ")
    return Fate(who or recipient(), PeerReply(int(code), rest.encode()), "mx.example", **changes)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("250 2.0.0 ok", OutcomeKind.DELIVERED),
        ("251 will forward", OutcomeKind.DELIVERED),
        ("450 4.2.0 later", OutcomeKind.DEFERRED),
        ("421 4.3.2 closing", OutcomeKind.DEFERRED),
        ("354 go on?", OutcomeKind.DEFERRED),
        ("550 5.1.1 nobody", OutcomeKind.BOUNCED),
        ("503 bad sequence", OutcomeKind.BOUNCED),
    ],
)
def test_the_first_digit_decides(reply: str, kind: OutcomeKind) -> None:
    verdict = judge(message(), fate(reply), NOW, half)
    assert verdict.outcome.kind is kind
    assert verdict.outcome.reply == reply
    assert verdict.outcome.peer == "mx.example"


def test_a_deferral_waits_as_the_schedule_says() -> None:
    verdict = judge(message(), fate("450 4.2.0 later"), NOW + 1, half)
    assert verdict.outcome.next_attempt_at == NOW + 1 + 300
    assert verdict.report is None


def test_a_deferral_at_the_end_of_life_expires_with_a_report() -> None:
    who = recipient(attempt=9, give_up_at=NOW + 10)
    verdict = judge(message(), fate("450 4.2.0 later", who), NOW + 11, half)
    assert verdict.outcome.kind is OutcomeKind.EXPIRED
    assert verdict.report is not None
    assert (verdict.report.action, verdict.report.status) == ("failed", "4.4.7")
    assert verdict.report.diagnostic == "450 4.2.0 later"


@pytest.mark.parametrize(
    ("notify", "reports"),
    [
        ((), {"failed", "delayed"}),
        (("NEVER",), set()),
        (("SUCCESS",), {"relayed"}),
        (("FAILURE",), {"failed"}),
        (("DELAY",), {"delayed"}),
        (("SUCCESS", "FAILURE", "DELAY"), {"failed", "delayed", "relayed"}),
    ],
)
def test_notify_decides_what_is_reported(notify: tuple[str, ...], reports: set[str]) -> None:
    """RFC 3461 §4.1."""
    who = recipient(notify=frozenset(notify))
    found = set()
    for text, now in (("550 5.1.1 no", NOW), ("450 4.2.0 later", NOW + 4 * HOUR), ("250 ok", NOW)):
        report = judge(message(), fate(text, who, is_end_of_dsn=True), now, half).report
        found |= {report.action} if report is not None else set()
    assert found == reports
    nobody = message(reverse_path="")
    for text in ("550 5.1.1 no", "450 4.2.0 later", "250 ok"):
        assert judge(nobody, fate(text, who, is_end_of_dsn=True), NOW + 4 * HOUR, half).report is None


def test_a_delay_is_told_once() -> None:
    first = judge(message(), fate("450 later"), NOW + 3 * HOUR, half)
    assert first.outcome.delay_notified
    assert first.report is not None
    assert first.report.retry_until == NOW + 72 * HOUR
    told = recipient(delay_notified=True)
    second = judge(message(), fate("450 later", told), NOW + 4 * HOUR, half)
    assert (second.outcome.delay_notified, second.report) == (False, None)


def test_without_an_enhanced_code_the_class_is_reported() -> None:
    report = judge(message(), fate("550 no"), NOW, half).report
    assert report is not None
    assert report.status == "5.0.0"


def test_only_the_accepted_may_be_duplicates() -> None:
    people = [recipient(1), recipient(2)]
    sent = Sent([None, PeerReply(550, b"5.1.1 no")], "the connection was lost", (0,), True)
    first, second = fates_of(people, sent, "mx.example", peer_reports=True)
    assert (first.possible_duplicate, second.possible_duplicate) == (True, False)
    assert first.reply.text == "451 4.4.2 the connection was lost"
    assert judge(message(), first, NOW, half).outcome.possible_duplicate
    answered = Sent([PeerReply(250, b"ok")], None, (0,), False)
    assert not fates_of(people[:1], answered, "mx.example", peer_reports=True)[0].possible_duplicate


def test_a_possible_duplicate_that_expires_is_still_told() -> None:
    who = recipient(give_up_at=NOW)
    verdict = judge(message(), fate("421 4.3.2 bye", who, possible_duplicate=True), NOW + 1, half)
    assert verdict.outcome.kind is OutcomeKind.EXPIRED
    assert verdict.outcome.possible_duplicate


def test_a_late_row_expires_or_is_put_back_as_it_was() -> None:
    who = recipient(next_attempt_at=NOW + 9000, parked=None, last_reply="450 4.2.0 later")
    delayed = judge_late(message(), who, NOW + 100, NOW)
    assert delayed.outcome.kind is OutcomeKind.DEFERRED
    assert (delayed.outcome.next_attempt_at, delayed.outcome.reply) == (NOW + 9000, "")
    assert delayed.outcome.delay_notified
    assert delayed.report is not None
    assert delayed.report.diagnostic == "450 4.2.0 later"
    over = judge_late(message(), recipient(parked="shard"), NOW, NOW)
    assert over.outcome.kind is OutcomeKind.EXPIRED
    assert over.report is not None
    assert "paused" in over.report.diagnostic


def test_the_report_rides_on_the_first_outcome_it_is_about() -> None:
    verdicts = [
        judge(message(), fate("250 ok", recipient(1)), NOW, half),
        judge(message(), fate("550 5.1.1 no", recipient(2)), NOW, half),
        judge(message(), fate("550 5.1.1 no", recipient(3)), NOW, half),
    ]
    report: Any = object()
    outcomes = outcomes_of(verdicts, report)
    assert [outcome.dsn for outcome in outcomes] == [None, report, None]
    assert all(outcome.dsn is None for outcome in outcomes_of(verdicts, None))
