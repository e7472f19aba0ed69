"""`python -m tests.bench control`: how fast the control plane is, with 100 000 accounts.

    python -m tests.bench control [--quick] [--on sqlite|postgresql] [--scenario NAME]... [--accounts N]

Each figure is printed as it is found. `--quick`: a tenth of the accounts, a fifth of the calls.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.control.calls import list_accounts, provision_tenants
from tests.bench.control.installation import DIALECTS, Installation, serving
from tests.bench.control.obeying import obey_in_directories, obey_in_sessions
from tests.bench.report import machine

_ACCOUNTS = 100_000
_QUICK = 10
_QUICK_CALLS = 5


@dataclass(frozen=True, slots=True)
class _Scenario:
    """`measure(installation, calls)` gives figures: what, and how much."""

    measure: Callable[[Installation, int], Iterator[tuple[str, str]]]
    calls: int


_SCENARIOS = {
    "list": _Scenario(list_accounts, 500),
    "provision": _Scenario(provision_tenants, 100),
    "obey": _Scenario(obey_in_sessions, 200),
    "directory": _Scenario(obey_in_directories, 200),
}


def main(words: Sequence[str]) -> int:
    """Measure what the arguments ask for; the exit status."""
    arguments = _arguments(words)
    accounts = arguments.accounts or (_ACCOUNTS // _QUICK if arguments.quick else _ACCOUNTS)
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f} before", flush=True)
    for dialect in arguments.on or DIALECTS:
        began = time.monotonic()
        with serving(dialect, accounts) as at:
            made = time.monotonic() - began
            print(f"\n{dialect}: {accounts} accounts made and served in {made:.0f} s", flush=True)
            for name in arguments.scenario or _SCENARIOS:
                scenario = _SCENARIOS[name]
                calls = scenario.calls // _QUICK_CALLS if arguments.quick else scenario.calls
                for what, how_much in scenario.measure(at, calls):
                    print(f"  {what:<55} {how_much}", flush=True)
    return 0


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench control",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the accounts, a fifth of the calls")
    parser.add_argument("--on", action="append", choices=DIALECTS)
    parser.add_argument("--scenario", action="append", choices=_SCENARIOS)
    parser.add_argument("--accounts", type=int, metavar="N")
    return parser.parse_args(words)
