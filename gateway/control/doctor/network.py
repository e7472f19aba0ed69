"""Checks of connections: our own ports as others reach them, port 25 outward, the certificate, policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from cryptography import x509

from gateway.control.doctor.dns import Dns
from gateway.control.doctor.facts import Facts
from gateway.control.doctor.values import Check, Finding

_DAY = 86_400.0
_SOON_DAYS = 14
_SMARTHOST = "smtp://USER:PASSWORD@SMARTHOST:587?tls=required&spf=include:SPF-NAME-OF-ITS-PROVIDER"


class Probe(Protocol):
    """Connections to try; both block for seconds at most, and raise OSError."""

    def connect(self, host: str, port: int) -> None:
        """Open a TCP connection, and close it."""
        ...

    def fetch(self, url: str) -> str:
        """A page's body, from behind a certificate valid for its host; OSError for any other status."""
        ...


@dataclass(frozen=True, slots=True)
class Network:
    """What of the configuration is reachable. `ports`: purpose, host and port of each listener.

    `outward`: domains whose MX hosts port 25 is tried at, until one answers. `certificate`: None: no TLS.
    """

    hostname: str
    ports: Sequence[tuple[str, str, int]]
    outward: Sequence[str]
    outward_port: int
    certificate: Path | None


def network_checks(
    network: Network, facts: Facts, probe: Probe, dns: Dns, now: Callable[[], float]
) -> Iterator[Check]:
    """For each listener, the way out, the certificate, and the policies of domains that receive."""
    for purpose, host, port in network.ports:
        yield Check("port", f"{purpose} {host}:{port}", partial(_port, purpose, host, port, probe))
    yield Check(
        "outbound", f"port {network.outward_port}", partial(_outbound, network, facts.direct, probe, dns)
    )
    yield Check("certificate", network.hostname, partial(_certificate, network, now))
    for domain in facts.receiving:
        yield Check("mta-sts", domain, partial(_policy, domain, probe, dns))
    if facts.receiving_count > len(facts.receiving):
        yield Check("mta-sts", "domains that receive", partial(_not_all, facts))


def _port(purpose: str, host: str, port: int, probe: Probe) -> Finding:
    subject = f"{purpose} {host}:{port}"
    try:
        probe.connect(host, port)
    except OSError as error:
        fix = (
            "Look whether `gatepost serve` runs here, whether the firewall lets the port in, and whether "
            "the host name leads to this machine."
        )
        return Finding("port", subject, "red", f"Nobody answers: {_why(error)}.", fix)
    return Finding("port", subject, "green", "It takes connections.")


def _outbound(network: Network, direct: Sequence[str], probe: Probe, dns: Dns) -> Finding:
    subject = f"port {network.outward_port}"
    if not direct:
        return Finding("outbound", subject, "green", "No shard sends directly to other hosts.")
    if not network.outward:
        return Finding("outbound", subject, "green", "Not tried: [doctor] outward names no domain.")
    tried = []
    for domain in network.outward:
        host = _first_mx(dns(domain, "MX")) or domain
        try:
            probe.connect(host, network.outward_port)
        except OSError as error:
            tried.append(f"{host}: {_why(error)}")
        else:
            return Finding("outbound", subject, "green", f"{host} takes connections.")
    shown = direct[0] if len(direct) == 1 else "SHARD"
    fix = (
        "Many providers block it: ask yours to open it, or send through a smarthost with "
        f"`gatepost shard route {shown} '{_SMARTHOST}'`."
    )
    detail = f"No host outside can be reached ({'; '.join(tried)}), and {len(direct)} shards send directly."
    return Finding("outbound", subject, "red", detail, fix)


def _first_mx(values: Sequence[str]) -> str | None:
    """The host of the MX record that is tried first."""
    first = min(values, key=lambda value: int(value.partition(" ")[0]), default=None)
    return first.partition(" ")[2] if first is not None else None


def _certificate(network: Network, now: Callable[[], float]) -> Finding:
    host = network.hostname
    if network.certificate is None:
        fix = "Set [tls] certificate and key: clients expect STARTTLS."
        return Finding("certificate", host, "amber", "There is no TLS certificate.", fix)
    leaf = x509.load_pem_x509_certificates(network.certificate.read_bytes())[0]
    days = (leaf.not_valid_after_utc.timestamp() - now()) / _DAY
    fix = f"Renew {network.certificate}, then `systemctl reload gatepost` (SIGHUP)."
    if days <= 0 or leaf.not_valid_before_utc.timestamp() > now():
        return Finding("certificate", host, "red", "The certificate is not valid today.", fix)
    names = _names(leaf)
    if not any(_is_for(name, host) for name in names):
        return Finding("certificate", host, "red", f"The certificate is for {', '.join(names)}.", fix)
    detail = f"Valid for {int(days)} more days."
    return Finding("certificate", host, *(("amber", detail, fix) if days < _SOON_DAYS else ("green", detail)))


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _is_for(name: str, host: str) -> bool:
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def _policy(domain: str, probe: Probe, dns: Dns) -> Finding:
    """Senders that know a policy and cannot fetch it go on with the old one; a wrong one stops mail."""
    if not any(text.lower().startswith("v=stsv1") for text in dns(f"_mta-sts.{domain}", "TXT")):
        return Finding("mta-sts", domain, "green", "The domain announces no MTA-STS policy.")
    url = f"https://mta-sts.{domain}/.well-known/mta-sts.txt"
    fix = f"Serve the policy at {url}, or take the record _mta-sts.{domain} away."
    try:
        text = probe.fetch(url)
    except OSError as error:
        return Finding("mta-sts", domain, "red", f"The policy cannot be fetched: {_why(error)}.", fix)
    if "version: STSv1" not in text:
        return Finding("mta-sts", domain, "red", "What is served there is no policy.", fix)
    return Finding("mta-sts", domain, "green", "The policy can be fetched.")


def _not_all(facts: Facts) -> Finding:
    detail = f"Only {len(facts.receiving)} of {facts.receiving_count} domains were looked at."
    fix = "`gatepost doctor --all` looks at all of them."
    return Finding("mta-sts", "domains that receive", "amber", detail, fix)


def _why(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
