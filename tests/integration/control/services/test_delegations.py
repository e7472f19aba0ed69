"""Names below another tenant's domain: refused, unless that tenant lets one have them."""

from __future__ import annotations

import pytest

from gateway.control.errors import Conflict, NotFound
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    for name in ("acme", "globex"):
        control_services.tenants.create(OPERATOR, name)
    control_services.domains.add(OPERATOR, "acme.test", tenant="acme")
    control_services.domains.mark_verified(OPERATOR, "acme.test", "a test")
    return control_services


def test_a_delegate_may_claim_what_lies_below(services: ControlServices) -> None:
    with pytest.raises(Conflict, match=r"lies under acme\.test"):
        services.domains.add(OPERATOR, "mail.acme.test", tenant="globex")
    made = services.delegations.delegate(OPERATOR, "acme.test", to="globex")
    assert services.delegations.list(OPERATOR, "acme.test") == (made,)
    services.domains.add(OPERATOR, "mail.acme.test", tenant="globex")
    assert services.domains.mark_verified(OPERATOR, "mail.acme.test", "a test").state == "active"
    with pytest.raises(Conflict, match="already"):
        services.delegations.delegate(OPERATOR, "acme.test", to="globex")


def test_what_was_claimed_before_the_proof_above_is_not_proved_after_it(services: ControlServices) -> None:
    services.domains.add(OPERATOR, "globex.test", tenant="globex")
    claim = services.domains.add(OPERATOR, "mail.globex.test", tenant="acme")
    services.domains.mark_verified(OPERATOR, "globex.test", "a test")
    with pytest.raises(Conflict, match=r"lies under globex\.test"):
        services.domains.mark_verified(OPERATOR, claim.id, "a test")


def test_a_revoked_delegation_ends_new_claims_only(services: ControlServices) -> None:
    services.delegations.delegate(OPERATOR, "acme.test", to="globex")
    services.domains.add(OPERATOR, "mail.acme.test", tenant="globex")
    services.domains.mark_verified(OPERATOR, "mail.acme.test", "a test")
    services.delegations.revoke(OPERATOR, "acme.test", to="globex")
    assert services.delegations.list(OPERATOR, "acme.test") == ()
    assert services.domains.show(OPERATOR, "mail.acme.test").state == "active"
    with pytest.raises(Conflict, match="lies under"):
        services.domains.add(OPERATOR, "news.acme.test", tenant="globex")
    with pytest.raises(NotFound):
        services.delegations.revoke(OPERATOR, "acme.test", to="globex")
    operations = [entry.operation for entry in services.audit.list(OPERATOR)]
    assert {"domain.delegate", "domain.undelegate"} <= set(operations)


def test_a_tenant_delegates_its_own_and_must_know_the_others_id(services: ControlServices) -> None:
    acme, globex = (services.tenants.show(OPERATOR, name) for name in ("acme", "globex"))
    caller = limited(acme.id)
    with pytest.raises(NotFound):
        services.delegations.delegate(caller, "acme.test", to="globex")
    assert services.delegations.delegate(caller, "acme.test", to=globex.id).delegate_id == globex.id
    for call in (
        lambda: services.delegations.delegate(limited(globex.id), "acme.test", to=globex.id),
        lambda: services.delegations.list(limited(globex.id), "acme.test"),
        lambda: services.delegations.revoke(limited(globex.id), "acme.test", to=globex.id),
    ):
        with pytest.raises(NotFound):
            call()


def test_what_nobody_proved_cannot_be_delegated(services: ControlServices) -> None:
    services.domains.add(OPERATOR, "other.test", tenant="acme")
    with pytest.raises(Conflict, match="pending"):
        services.delegations.delegate(OPERATOR, "other.test", to="globex")
    with pytest.raises(Conflict, match="already"):
        services.delegations.delegate(OPERATOR, "acme.test", to="acme")
