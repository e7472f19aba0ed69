"""One measurement: a scenario against a running target, with a check that every message arrived once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from tests.bench.load import Plan
from tests.bench.meter import PeakMemory, cpu_seconds
from tests.bench.scenarios import Scenario
from tests.bench.targets import Sink, Target

LOAD_SECONDS = 300.0
EMPTY_SECONDS = 60.0
_WARM_UP = Scenario("warm-up", 2048, 40, 20)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one measurement gave. Rates in messages/s, CPU in seconds per 1000 messages, memory in MB (PSS, peak)."""

    accepted_per_second: float
    delivered_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_per_1000: float
    pss_mb: float
    load_cpu_per_1000: float
    problems: tuple[str, ...] = ()


def warm_up(target: Target, sink: Sink) -> tuple[str, ...]:
    """Have the first logins checked and connections made, which are no part of a figure. What went wrong."""
    return measure(target, sink, _WARM_UP).problems


def measure(target: Target, sink: Sink, scenario: Scenario) -> Figures:
    """Run `scenario` until the queue is empty again."""
    sink.figures(reset=True)
    with PeakMemory(target.pids) as memory:
        before = cpu_seconds(target.pids())
        load = _run_load(target, scenario)
        accepted = int(load.get("accepted", 0))
        arrived = _settle(target, sink, accepted)
        used = cpu_seconds(target.pids()) - before
    seconds = arrived["last_at"] - arrived["first_at"]
    per_1000 = 1000 / max(1, accepted)
    return Figures(
        accepted_per_second=load.get("accepted_per_second", 0.0),
        delivered_per_second=arrived["messages"] / seconds if seconds > 0 else 0.0,
        p50_ms=load.get("p50_ms", 0.0),
        p99_ms=load.get("p99_ms", 0.0),
        cpu_per_1000=used * per_1000,
        pss_mb=memory.megabytes,
        load_cpu_per_1000=load.get("cpu_seconds", 0.0) * per_1000,
        problems=tuple(_problems(scenario, load, arrived)),
    )


def _run_load(target: Target, scenario: Scenario) -> dict[str, float]:
    plan = Plan(
        port=target.port,
        login=target.login,
        password=target.password,
        sender=target.sender,
        messages=scenario.messages,
        sessions=scenario.sessions,
        size=scenario.size,
        per_connection=scenario.per_connection,
        seconds=LOAD_SECONDS,
    )
    result = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", json.dumps(asdict(plan))],
        capture_output=True,
        text=True,
        timeout=LOAD_SECONDS + 30,
        check=False,
    )
    if result.returncode != 0:
        return {"error": result.stderr.strip().splitlines()[-1]}  # type: ignore[dict-item]
    return dict(json.loads(result.stdout))


def _settle(target: Target, sink: Sink, accepted: int) -> dict[str, float]:
    """Wait until what was accepted has arrived and nothing is queued; the sink's figures."""
    _wait(lambda: sink.figures()["messages"] >= accepted and target.queue_is_empty())
    time.sleep(0.2)  # a message too many would come now; both servers also finish their books
    return sink.figures()


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + EMPTY_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


def _problems(scenario: Scenario, load: dict[str, float], arrived: dict[str, float]) -> list[str]:
    found = []
    if "error" in load:
        found.append(f"the load ended early: {load['error']}")
    elif load["refused"]:
        found.append(f"{load['refused']} refused, first: {load['first_refusal']}")
    accepted = load.get("accepted", 0)
    if accepted != scenario.messages:
        found.append(f"{accepted} of {scenario.messages} accepted")
    if arrived["messages"] != accepted:
        found.append(f"{accepted} accepted, {arrived['messages']:.0f} arrived")
    return found
