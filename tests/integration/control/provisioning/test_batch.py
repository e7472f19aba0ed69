"""Many rows in one call: each done once, each with its own answer."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from gateway.control.errors import Invalid
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.system.database import DatabaseAway
from tests.integration.control.provisioning.requests import request
from tests.support.control import OPERATOR


def test_rows_are_done_in_order_and_a_failed_one_stops_nobody(control_services: ControlServices) -> None:
    rows = [
        request("Acme", "bob", account_client_id="1"),
        request("Acme", "bob", account_client_id="2"),
        request("Globex", "a b", account_client_id="3"),
        request("Globex", "eve", account_client_id="4", domain="globex.example"),
        request("Globex", "joe", account_client_id="5", smtp=False),
    ]
    results = control_services.provisioning.provision_batch(OPERATOR, rows)
    assert [(one.row, one.client_id, one.status, one.code) for one in results] == [
        (0, "1", "created", None),
        (1, "2", "failed", "address-taken"),
        (2, "3", "failed", "bad-address"),
        (3, "4", "created", None),
        (4, "5", "failed", "no-protocol-on"),
    ]
    assert all(one.detail and one.fix for one in results if one.status == "failed")
    assert results[3].result is not None
    assert results[3].result.pending_address == "eve@globex.example"
    assert results[3].result.app_password is not None


@pytest.mark.parametrize("named", [True, False], ids=["by client_id", "by address"])
def test_a_repeated_call_goes_on_where_the_first_ended(
    control_services: ControlServices, named: bool
) -> None:
    rows = [
        request(
            f"Tenant {n % 3}",
            f"user{n}",
            domain=f"t{n % 3}.example" if n % 2 else None,
            account_client_id=f"id-{n}" if named else None,
        )
        for n in range(12)
    ]
    first = control_services.provisioning.provision_batch(OPERATOR, rows[:5])
    again = control_services.provisioning.provision_batch(OPERATOR, rows)
    assert Counter(one.status for one in first) == {"created": 5}
    assert [one.status for one in again] == ["existing"] * 5 + ["created"] * 7
    assert [one.result.grant_id for one in again[:5] if one.result] == [
        one.result.grant_id for one in first if one.result
    ]
    assert len(control_services.accounts.list(OPERATOR)) == 12
    assert len(control_services.tenants.list(OPERATOR)) == 4


def test_five_hundred_rows_are_the_most(control_services: ControlServices) -> None:
    with pytest.raises(Invalid, match="500"):
        control_services.provisioning.provision_batch(OPERATOR, [request()] * 501)


class LosingWrites(ControlWrites):
    """Writes whose database goes away after some changes."""

    left = 0

    def change(self, actor: Actor) -> AbstractContextManager[ControlChange]:
        """See ControlWrites."""
        self.left -= 1
        if self.left < 0:
            raise DatabaseAway("the control database is away")
        return super().change(actor)


def losing(services: ControlServices, after: int) -> ControlServices:
    """The same services over a database that goes away after so many changes."""
    writes = LosingWrites.__new__(LosingWrites)
    writes.__dict__.update(services.writes.__dict__)
    writes.left = after
    return replace(services, writes=writes)


def test_rows_done_before_the_database_went_away_keep_their_passwords(
    control_services: ControlServices,
) -> None:
    rows = [request(f"T{n}", account_client_id=str(n)) for n in range(4)]
    results = losing(control_services, 2).provisioning.provision_batch(OPERATOR, rows)
    assert [(one.status, one.code) for one in results] == [
        *[("created", None)] * 2,
        *[("failed", "database-away")] * 2,
    ]
    assert all(one.result is not None and one.result.app_password for one in results[:2])
    again = control_services.provisioning.provision_batch(OPERATOR, rows)
    assert [one.status for one in again] == ["existing"] * 2 + ["created"] * 2


def test_a_call_of_which_nothing_is_done_fails_as_one(control_services: ControlServices) -> None:
    with pytest.raises(DatabaseAway):
        losing(control_services, 0).provisioning.provision_batch(OPERATOR, [request(), request("B")])
