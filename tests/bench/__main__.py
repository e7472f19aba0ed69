"""`make bench`: how fast the gateway is, and how fast Postfix + OpenDKIM + Dovecot are on the same machine.

    python -m tests.bench control …                     # the control plane: see tests/bench/control
    python -m tests.bench [--quick] [--only gatepost|postfix] [--scenario NAME]... [--rounds N] [--unsigned] [--json FILE]

Both run on loopback with TLS, AUTH and RSA-2048 signatures and relay to a sink in a process of its own; they are
measured in turn, so that a ratio is of two runs a few seconds apart. The anchor is left out, with a word, where it
is not installed. Exit status 1 if a message was lost, refused or came twice.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tests.bench import postfix
from tests.bench.measure import measure, warm_up
from tests.bench.report import Row, heading, line, machine, summary
from tests.bench.scenarios import SCENARIOS, Scenario
from tests.bench.targets import GatepostTarget, PostfixTarget, Sink, Target
from tests.support.gateway import free_port


def main() -> int:
    """Measure what the arguments ask for; the exit status."""
    arguments = _arguments()
    chosen = [one for one in SCENARIOS if not arguments.scenario or one.name in arguments.scenario]
    if arguments.quick:
        chosen = [scenario.shortened() for scenario in chosen]
    rounds = arguments.rounds or (1 if arguments.quick else 3)
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f} before", flush=True)
    with ExitStack() as stack:
        sink = Sink(free_port())
        stack.callback(sink.stop)
        targets = _targets(arguments, sink, stack)
        rows = _measure_all(targets, sink, chosen, rounds)
    print(summary(rows))
    if arguments.json is not None:
        document = {"machine": machine(), "rows": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if any(row.figures.problems for row in rows) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the messages, one round")
    parser.add_argument("--only", choices=["gatepost", "postfix"])
    parser.add_argument("--scenario", action="append", choices=[one.name for one in SCENARIOS])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--unsigned", action="store_true", help="also Postfix without OpenDKIM")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there")
    return parser.parse_args()


def _targets(arguments: argparse.Namespace, sink: Sink, stack: ExitStack) -> list[Target]:
    targets: list[Target] = []
    if arguments.only != "postfix":
        targets.append(GatepostTarget(sink.port))
    if arguments.only != "gatepost":
        missing = [*postfix.missing(), *([] if os.geteuid() == 0 else ["root's rights"])]
        if missing:
            print(f"the anchor is not measured: {', '.join(missing)} missing", flush=True)
        else:
            targets.append(PostfixTarget(sink.port))
            if arguments.unsigned:
                targets.append(PostfixTarget(sink.port, dkim=False))
    for target in targets:
        stack.callback(target.stop)
        target.start()
    return targets


def _measure_all(targets: list[Target], sink: Sink, scenarios: list[Scenario], rounds: int) -> list[Row]:
    for target in targets:
        for problem in warm_up(target, sink):
            raise SystemExit(f"{target.name} does not work: {problem}")
    print(heading(), flush=True)
    rows = []
    for number in range(1, rounds + 1):
        for scenario in scenarios:
            for target in targets:
                load = os.getloadavg()[0]
                row = Row(number, scenario.name, target.name, measure(target, sink, scenario), load)
                rows.append(row)
                print(line(row), flush=True)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["control"]:
        from tests.bench.control.run import main as measure_control

        sys.exit(measure_control(sys.argv[2:]))
    sys.exit(main())
