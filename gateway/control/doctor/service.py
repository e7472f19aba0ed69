"""The doctor: all checks of the installation, for its operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.control.doctor.addresses import address_checks
from gateway.control.doctor.dns import Dns, Look
from gateway.control.doctor.facts import read_facts
from gateway.control.doctor.machine import Machine, machine_checks
from gateway.control.doctor.network import Network, Probe, network_checks
from gateway.control.doctor.records import record_checks
from gateway.control.doctor.running import SECONDS, run_checks
from gateway.control.doctor.values import Check, Report, report_of
from gateway.control.errors import Forbidden
from gateway.control.records import Actor
from gateway.control.settings import ControlSettings
from gateway.control.transaction import ControlWrites

_PATIENCE = 10
"""How many times as long all checks may take where everything is looked at."""


class Doctor:
    """Looks at everything, from outside in. `look` and `probe` are all that it asks the network by."""

    def __init__(
        self,
        writes: ControlWrites,
        settings: ControlSettings,
        network: Network,
        machine: Machine,
        look: Look,
        probe: Probe,
        *,
        blocklists: Sequence[str] = (),
        seconds: float = SECONDS,
    ) -> None:
        """`blocklists`: zones that are asked about source addresses (RFC 5782); `seconds`: for all checks."""
        self._writes = writes
        self._settings = settings
        self._network = network
        self._machine = machine
        self._dns = Dns(look)
        self._probe = probe
        self._blocklists = blocklists
        self._seconds = seconds

    def examine(self, actor: Actor, *, everything: bool = False) -> Report:
        """What was found; it takes seconds. Raises Forbidden, DatabaseAway.

        `everything`: all keys and domains are looked at, however many there are, which may take minutes.
        """
        if not actor.is_operator:
            raise Forbidden(
                "operator-only",
                "The installation is its operator's to look at.",
                "Ask the platform's operator.",
            )
        seconds = self._seconds * _PATIENCE if everything else self._seconds
        findings = run_checks(list(self._checks(everything)), seconds)
        return report_of(findings, self._writes.clock.now())

    def _checks(self, everything: bool) -> Iterator[Check]:
        hostname, dns, now = self._settings.hostname, self._dns, self._writes.clock.now
        with self._writes.view() as session:
            facts = read_facts(session, self._settings, everything=everything)
        yield from network_checks(self._network, facts, self._probe, dns, now)
        yield from address_checks(facts.sources, hostname, self._blocklists, dns)
        yield from record_checks(facts, hostname, dns)
        yield from machine_checks(self._machine, now)
