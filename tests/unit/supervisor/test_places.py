"""When a process is started again, and when it counts as stuck."""

from gateway.supervisor.child import ProcessKind
from gateway.supervisor.places import Place, Running


def place(hang_seconds: float = 10.0) -> Place:
    return Place(ProcessKind("mail", 2, lambda _: 0, hang_seconds=hang_seconds), 1, 1)


def live_and_die(one: Place, start: float, end: float, *, ready: bool = True) -> float:
    one.filled(Running(1, f"i{start}", 3, start))
    if ready:
        one.reported_ready()
    return one.emptied(end)


def test_at_once_then_slower_and_slower() -> None:
    one = place()
    delays = [live_and_die(one, n, n + 1) for n in range(10)]
    assert delays == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0]
    assert one.start_at == 10 + 30.0


def test_a_steady_life_forgives() -> None:
    one = place()
    for n in range(5):
        live_and_die(one, n, n + 1)
    assert live_and_die(one, 100, 110) == 0.0
    # One that never became ready was not steady, however long it took.
    assert live_and_die(one, 200, 400, ready=False) == 0.5


def test_the_dead_are_named_until_somebody_freed_them() -> None:
    one = place()
    live_and_die(one, 1, 2)
    live_and_die(one, 3, 4, ready=False)
    assert one.dead == ["i1", "i3"]
    one.filled(Running(1, "i5", 3, 5))
    assert one.dead == ["i1", "i3"]
    one.reported_ready()
    assert one.dead == []


def test_stuck_is_without_progress_for_long() -> None:
    one = place(hang_seconds=10)
    assert one.has_moved(0, 0)
    one.filled(Running(1, "i", 3, 0))
    assert one.has_moved(0, 500), "one that is not ready yet is not judged"
    one.reported_ready()
    assert one.has_moved(0, 501)
    assert one.has_moved(0, 510.9)
    assert not one.has_moved(0, 511)
    assert one.has_moved(1, 512)
    assert one.has_moved(1, 521)
    assert not one.has_moved(1, 522)


def test_names() -> None:
    assert place().name == "mail1"
