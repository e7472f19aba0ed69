"""Ids that do not tell the number they are made of."""

from __future__ import annotations

from gateway.control.events.idents import EventIds


def test_an_event_has_one_id_of_its_own_that_does_not_tell_its_number() -> None:
    ids, others = EventIds(b"a" * 32), EventIds(b"b" * 32)
    made = {ids.of(source, number) for source in ("location:eu", "refused:eu") for number in range(100)}
    assert len(made) == 200
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in made)
    assert ids.of("location:eu", 7) == EventIds(b"a" * 32).of("location:eu", 7)
    assert ids.of("location:eu", 7) != others.of("location:eu", 7)
