"""The life of keys in a real zone: published, used once seen, kept while mail names them, destroyed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import sqlalchemy as sa

from gateway.control.doctor.facts import read_facts
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.control.domains.publishing.unwatched import UnwatchedKeys
from gateway.control.domains.view import RecordView
from gateway.control.errors import Conflict
from gateway.control.keys.lifecycle import DESTROYED_AFTER_SECONDS, RETIRED_SECONDS, KeyLifecycle
from gateway.control.keys.model import KeyRow
from gateway.control.keys.view import KeyView
from gateway.system.database import Database
from tests.integration.control.publishing.conftest import Publishing, publishing_over
from tests.support.control import OPERATOR
from tests.support.gateway import wait_until
from tests.support.nameservers import running_authority
from tests.support.peers import RequirePeer

DAY = 86_400.0
TRIAL = "acme.trial.gatepost.test"


class Queue:
    """Stands for the queues: the keys that queued mail names."""

    def __init__(self) -> None:
        self.named: set[str] = set()

    def keys_in_use(self, key_ids: Iterable[str]) -> set[str]:
        return self.named & set(key_ids)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def life(publishing: Publishing, queue: Queue) -> KeyLifecycle:
    services = publishing.services
    return KeyLifecycle(services.writes, services.keys, queue, services.settings, 90 * DAY)


def advance(publishing: Publishing, seconds: float) -> None:
    publishing.services.writes.clock.advance(seconds)  # type: ignore[attr-defined]


def states(publishing: Publishing, domain: str) -> list[str]:
    return [key.state for key in publishing.services.keys.list(OPERATOR, domain=domain)]


def key_in(publishing: Publishing, domain: str, state: str) -> KeyView:
    [found] = [one for one in publishing.services.keys.list(OPERATOR, domain=domain) if one.state == state]
    return found


def aliases(publishing: Publishing) -> list[RecordView]:
    records = publishing.services.domains.records(OPERATOR, "acme.test")
    return [one for one in records if (one.purpose, one.type) == ("dkim", "CNAME")]


def add_custom(publishing: Publishing) -> list[RecordView]:
    """A customer's domain, whose aliases the customer has published."""
    publishing.services.domains.add(OPERATOR, "acme.test", tenant="acme")
    publishing.services.domains.mark_verified(OPERATOR, "acme.test", "a test")
    found = aliases(publishing)
    for one in found:
        publishing.zones.put(one.name, "CNAME", one.value + ".")
    publishing.work.step()
    return found


def test_a_customer_publishes_two_aliases_once(publishing: Publishing) -> None:
    first, second = add_custom(publishing)
    assert [first.required, second.required] == [True, False]
    assert second.note is not None
    assert publishing.zones.ask(first.name, "TXT")[0].endswith(first.value + ".")
    seen = key_in(publishing, "acme.test", "active")
    assert seen.name == first.name
    publishing.services.keys.rotate(OPERATOR, "acme.test")
    assert states(publishing, "acme.test") == ["active", "pending"]
    publishing.work.step()
    assert states(publishing, "acme.test") == ["retiring", "active"]
    assert key_in(publishing, "acme.test", "active").name == second.name
    assert aliases(publishing)[1].required
    text = publishing.zones.ask(second.value, "TXT")
    assert (
        "".join(text).replace('" "', "").strip('"') == key_in(publishing, "acme.test", "active").record_value
    )


def test_a_key_waits_for_the_alias_that_the_customer_lost(publishing: Publishing) -> None:
    _, second = add_custom(publishing)
    publishing.zones.put(second.name, "CNAME")
    publishing.services.keys.rotate(OPERATOR, "acme.test")
    for _ in range(3):
        advance(publishing, 10)
        publishing.work.step()
    assert states(publishing, "acme.test") == ["active", "pending"]
    publishing.zones.put(second.name, "CNAME", second.value + ".")

    def is_used() -> bool:
        advance(publishing, 700)
        publishing.work.step()
        return states(publishing, "acme.test") == ["retiring", "active"]

    # The resolver remembers for a second that there was none.
    wait_until(is_used, what="the key being used")


def test_both_selectors_are_in_use_until_the_older_key_is_withdrawn(
    publishing: Publishing, life: KeyLifecycle, queue: Queue
) -> None:
    first, _ = add_custom(publishing)
    publishing.services.keys.rotate(OPERATOR, "acme.test")
    publishing.work.step()
    old = key_in(publishing, "acme.test", "retiring")
    with pytest.raises(Conflict, match="in use"):
        publishing.services.keys.rotate(OPERATOR, "acme.test")
    queue.named = {old.id}
    advance(publishing, RETIRED_SECONDS + 1)
    assert life.run(OPERATOR).withdrawn == ()
    publishing.work.step()
    assert publishing.zones.ask(first.value, "TXT")
    queue.named = set()
    assert life.run(OPERATOR).withdrawn == (old.id,)
    publishing.work.step()
    assert publishing.zones.ask(first.value, "TXT") == []
    advance(publishing, publishing.services.settings.record_ttl)
    [again] = publishing.services.keys.rotate(OPERATOR, "acme.test")
    assert again.name == old.name
    publishing.work.step()
    assert key_in(publishing, "acme.test", "active").id == again.id
    assert "k=rsa" in publishing.zones.ask(first.value, "TXT")[0]


def test_a_trial_names_key_is_followed_when_its_time_is_over(
    publishing: Publishing, life: KeyLifecycle, queue: Queue
) -> None:
    publishing.work.step()
    old = key_in(publishing, TRIAL, "active")
    advance(publishing, 89 * DAY)
    assert life.run(OPERATOR).rotated == ()
    advance(publishing, DAY)
    assert old.id in life.run(OPERATOR).rotated
    assert life.run(OPERATOR).rotated == ()
    assert states(publishing, TRIAL) == ["active", "pending"]
    publishing.work.step()
    assert states(publishing, TRIAL) == ["retiring", "active"]
    assert publishing.zones.ask(old.name, "TXT")
    advance(publishing, RETIRED_SECONDS + 1)
    assert old.id in life.run(OPERATOR).withdrawn
    publishing.work.step()
    assert publishing.zones.ask(old.name, "TXT") == []
    # Mail that names it again (a backup was put back) gives it a new time.
    queue.named = {old.id}
    assert life.run(OPERATOR).destroyed == ()
    queue.named = set()
    advance(publishing, DESTROYED_AFTER_SECONDS - DAY)
    assert life.run(OPERATOR).destroyed == ()
    advance(publishing, DESTROYED_AFTER_SECONDS)
    assert old.id in life.run(OPERATOR).destroyed
    with publishing.services.writes.view() as session:
        row = session.get_one(KeyRow, old.id)
        assert (row.state, row.sealed) == ("destroyed", b"")
    entries = publishing.services.audit.list(OPERATOR, operation="dkim-key.destroy")
    assert old.id in {entry.resource_id for entry in entries}


def test_a_revoked_key_says_so_at_once_and_its_successor_signs_when_seen(
    publishing: Publishing, life: KeyLifecycle
) -> None:
    first, second = add_custom(publishing)
    old = key_in(publishing, "acme.test", "active")
    publishing.services.keys.revoke(OPERATOR, old.id)
    assert states(publishing, "acme.test") == ["revoked", "pending"]
    publishing.work.step()
    assert publishing.zones.ask(first.value, "TXT") == ['"v=DKIM1; k=rsa; p="']
    assert key_in(publishing, "acme.test", "active").name == second.name
    # Should the second one leak too, the revoked record gives way: what it signed stays unverifiable.
    publishing.services.keys.revoke(OPERATOR, key_in(publishing, "acme.test", "active").id)
    publishing.work.step()
    # Resolvers may hold the record that stood there for as long as its TTL.
    assert "pending" in states(publishing, "acme.test")
    assert publishing.zones.ask(first.value, "TXT")[0].startswith('"v=DKIM1; k=rsa; p=M')
    publishing.services.domains.verify(OPERATOR, "acme.test")
    assert "pending" in states(publishing, "acme.test")
    advance(publishing, publishing.services.settings.record_ttl)
    publishing.work.step()
    assert key_in(publishing, "acme.test", "active").name == first.name
    assert publishing.zones.ask(second.value, "TXT") == ['"v=DKIM1; k=rsa; p="']
    life.run(OPERATOR)
    advance(publishing, DESTROYED_AFTER_SECONDS)
    assert len(life.run(OPERATOR).destroyed) == 2
    publishing.work.step()
    assert publishing.zones.ask(second.value, "TXT") == []


def test_a_second_algorithm_has_aliases_of_its_own(publishing: Publishing) -> None:
    add_custom(publishing)
    publishing.services.keys.create(OPERATOR, "acme.test", algorithm="ed25519")
    assert len(aliases(publishing)) == 4
    assert states(publishing, "acme.test") == ["active", "pending"]
    for one in aliases(publishing)[2:]:
        publishing.zones.put(one.name, "CNAME", one.value + ".")
    publishing.work.step()
    assert states(publishing, "acme.test") == ["active", "active"]


def test_keys_of_a_domain_that_expired_are_taken_back(publishing: Publishing) -> None:
    first, _ = add_custom(publishing)
    with publishing.services.writes.change(OPERATOR) as change:
        domain = publishing.services.domains.show(OPERATOR, "acme.test")
        change.session.execute(sa.text("UPDATE domains SET state = 'expired' WHERE name = 'acme.test'"))
        change.changed("domain", domain.id)
    publishing.work.step()
    assert publishing.zones.ask(first.value, "TXT") == []


def test_a_trial_names_key_is_used_once_the_resolver_has_it_too(
    publishing: Publishing, location_database: Database, require_peer: RequirePeer
) -> None:
    with running_authority(require_peer, "gatepost.test") as secondary:
        late = publishing_over(publishing.services, location_database, publishing.zones, secondary.port)
        late.work.step()
        [old] = publishing.services.keys.list(OPERATOR, domain=TRIAL)
        secondary.put(old.name, "TXT", old.record_value)
        advance(publishing, 10)
        late.work.step()
        [new] = publishing.services.keys.rotate(OPERATOR, TRIAL)
        for _ in range(3):
            advance(publishing, 10)
            late.work.step()
        assert publishing.zones.ask(new.name, "TXT")
        assert states(publishing, TRIAL) == ["active", "pending"]
        secondary.put(new.name, "TXT", new.record_value)
        advance(publishing, 700)
        late.work.step()
        assert states(publishing, TRIAL) == ["retiring", "active"]


def test_a_shards_key_signs_once_it_is_seen_and_is_followed_like_others(
    publishing: Publishing, life: KeyLifecycle
) -> None:
    services = publishing.services
    shard = services.shards.create(OPERATOR, f"news.{TRIAL}", tenant="acme", sign=True)

    def of_shard() -> list[KeyView]:
        return [one for one in services.keys.list(OPERATOR) if one.domain == shard.name]

    assert [one.state for one in of_shard()] == ["pending"]
    publishing.work.step()
    [first] = of_shard()
    assert (first.state, first.seen_at is None) == ("active", False)
    services.shards.update(OPERATOR, shard.id, sign=False)
    advance(publishing, 91 * DAY)
    assert first.id not in life.run(OPERATOR).rotated
    services.shards.update(OPERATOR, shard.id, sign=True)
    assert [one.state for one in of_shard()] == ["active"]
    assert first.id in life.run(OPERATOR).rotated
    assert [one.state for one in of_shard()] == ["active", "pending"]
    assert life.run(OPERATOR).rotated == ()
    publishing.work.step()
    assert [one.state for one in of_shard()] == ["retiring", "active"]
    with services.writes.view() as session:
        names = {one.name for one in read_facts(session, services.settings).keys}
    assert of_shard()[1].name in names


def test_a_shard_under_no_domain_signs_once_the_resolver_shows_its_key(publishing: Publishing) -> None:
    services = publishing.services
    services.shards.create(OPERATOR, "s1.other.test", tenant="acme", sign=True)
    resolve = ResolverLook([("127.0.0.1", publishing.zones.port)])
    look = UnwatchedKeys(services.writes, services.keys, services.settings, resolve)
    [key] = [one for one in services.keys.list(OPERATOR) if one.domain == "s1.other.test"]
    assert (look.look(), key.state) == (0, "pending")
    publishing.zones.put(key.name, "TXT", key.record_value)
    assert look.look() == 1
    assert services.keys.show(OPERATOR, key.id).state == "active"
    [new] = services.keys.rotate(OPERATOR, "s1.other.test")
    assert new.state == "pending"
    # Asking again makes no second one.
    assert services.keys.rotate(OPERATOR, "s1.other.test") == (new,)
