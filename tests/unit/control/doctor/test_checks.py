"""What each check says, over answers that are given to it."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.control.doctor.addresses import address_checks
from gateway.control.doctor.dns import Dns
from gateway.control.doctor.facts import Facts, Key, Source
from gateway.control.doctor.machine import Machine, machine_checks
from gateway.control.doctor.network import Network, network_checks
from gateway.control.doctor.records import record_checks
from gateway.control.doctor.running import run_checks
from gateway.control.doctor.values import Check, Finding, report_of
from gateway.control.domains.publishing.values import RecordKey, Values
from gateway.control.shards.route import parse_route

Answers = dict[tuple[str, str], Values | None]

HOST = "mx.gatepost.test"
NOW = 1_800_000_000.0
SOURCE = Source(HOST, "192.0.2.10", 1)
KEY = Key("s1._domainkey.acme.test", "v=DKIM1; k=rsa; p=AAAA", "acme.test")
FACTS = Facts(
    sources=(SOURCE,),
    keys=(KEY,),
    key_count=1,
    direct=("s1.acme.test",),
    receiving=(),
    receiving_count=0,
    pool=(0, 0),
)
REVERSE = ("10.2.0.192.in-addr.arpa", "PTR")
RIGHT: Answers = {
    REVERSE: (HOST,),
    (HOST, "A"): ("192.0.2.10",),
    (HOST, "TXT"): ("v=spf1 ip4:192.0.2.0/28 -all",),
    (f"_dmarc.{HOST}", "TXT"): ("v=DMARC1; p=none",),
    (KEY.name, "TXT"): ("v=DKIM1; k=rsa; p=AA AA",),
    ("peer.test", "MX"): ("20 mx2.peer.test", "5 mx1.peer.test"),
}


def dns(changes: Answers | None = None) -> Dns:
    """DNS as it is when all is right, but for `changes`; None: no answer."""
    known = RIGHT | (changes or {})

    def look(keys: Collection[RecordKey]) -> dict[RecordKey, Values | None]:
        return {key: known.get(key) for key in keys if known.get(key, ()) is not None}

    return Dns(look)


class Peer:
    """Connections that succeed, but to those refused; pages that are served."""

    def __init__(self, refused: Iterable[str] = (), pages: dict[str, str] | None = None) -> None:
        self.refused = set(refused)
        self.pages = pages or {}
        self.asked: list[tuple[str, int]] = []

    def connect(self, host: str, port: int) -> None:
        self.asked.append((host, port))
        if host in self.refused:
            raise ConnectionRefusedError(111, "Connection refused")

    def fetch(self, url: str) -> str:
        if url not in self.pages:
            raise OSError("the server answers 404")
        return self.pages[url]


def found(checks: Iterable[Check], name: str) -> Finding:
    """What the one check of a name finds."""
    [finding] = run_checks([check for check in checks if check.name == name])
    return finding


def of_addresses(
    name: str, changes: Answers | None = None, source: Source = SOURCE, lists: tuple[str, ...] = ()
) -> Finding:
    return found(address_checks([source], HOST, lists, dns(changes)), name)


def of_records(name: str, changes: Answers | None = None, facts: Facts = FACTS) -> Finding:
    return found(record_checks(facts, HOST, dns(changes)), name)


def of_network(
    name: str,
    peer: Peer | None = None,
    facts: Facts = FACTS,
    changes: Answers | None = None,
    certificate: Path | None = None,
) -> Finding:
    network = Network(HOST, [("submission", HOST, 587)], ["peer.test"], 25, certificate)
    return found(network_checks(network, facts, peer or Peer(), dns(changes), lambda: NOW), name)


@pytest.mark.parametrize("name", ["reverse-dns", "helo"])
def test_an_address_with_its_name_both_ways_is_green(name: str) -> None:
    assert of_addresses(name).level == "green"


def test_a_missing_or_foreign_reverse_name_is_red() -> None:
    assert of_addresses("reverse-dns", {REVERSE: ()}).detail == "There is no PTR record."
    foreign = of_addresses("reverse-dns", {REVERSE: ("host-10.isp.test",)})
    assert (foreign.level, "host-10.isp.test" in foreign.detail) == ("red", True)
    assert HOST in (foreign.fix or "")


def test_a_name_that_leads_elsewhere_is_red() -> None:
    finding = of_addresses("helo", {(HOST, "A"): ("192.0.2.99",)})
    assert (finding.level, finding.fix) == ("red", f"Publish {HOST} A 192.0.2.10.")


def test_the_same_ipv6_address_in_another_spelling_is_green() -> None:
    source = Source(HOST, "2001:db8::10", 1)
    assert of_addresses("helo", {(HOST, "AAAA"): ("2001:0db8:0::0010",)}, source).level == "green"


def test_an_address_that_tenants_share_is_amber() -> None:
    finding = of_addresses("shared-address", source=replace(SOURCE, tenants=3))
    assert (finding.level, finding.detail.startswith("3 tenants")) == ("amber", True)


@pytest.mark.parametrize(
    ("answer", "level"),
    [((), "green"), (("127.0.0.2",), "red"), (("127.255.255.254",), "amber"), (("203.0.113.1",), "amber")],
)
def test_blocklists_say_listed_or_that_they_do_not_serve(answer: Values, level: str) -> None:
    answers: Answers = {("10.2.0.192.bl.test", "A"): answer}
    assert of_addresses("blocklist", answers, lists=("bl.test",)).level == level


def test_no_answer_is_no_finding_of_a_fault() -> None:
    finding = of_addresses("reverse-dns", {REVERSE: None})
    assert finding.level == "amber"
    assert "no answer" in finding.detail


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        (("v=spf1 ip4:192.0.2.10 -all", "some other text"), "green"),
        (("v=spf1 a -all",), "green"),
        (("v=spf1 +A:mx.gatepost.test -all",), "green"),
        (("v=spf1 ip4:198.51.100.0/24 -all",), "red"),
        (("v=spf1 ip4:nonsense -all",), "red"),
        (("v=spf1 include:other.test -all",), "amber"),
        (("v=spf1 -all", "v=spf1 ip4:192.0.2.10 -all"), "red"),
        ((), "red"),
    ],
)
def test_spf_is_to_cover_every_source(texts: Values, level: str) -> None:
    assert of_records("spf", {(HOST, "TXT"): texts}).level == level


def test_keys_are_compared_without_regard_to_white_space() -> None:
    assert of_records("dkim").detail == "All 1 keys are published as they sign."


@pytest.mark.parametrize("texts", [(), ("v=DKIM1; k=rsa; p=BBBB",), ("v=DKIM1; p=",)])
def test_a_key_that_signs_and_is_not_published_so_is_red(texts: Values) -> None:
    finding = of_records("dkim", {(KEY.name, "TXT"): texts})
    assert (finding.level, finding.subject) == ("red", KEY.name)
    assert "gatepost domain verify acme.test" in (finding.fix or "")


def test_what_was_not_looked_at_is_told() -> None:
    keys = of_records("dkim", facts=replace(FACTS, key_count=10_000))
    assert (keys.level, keys.detail) == ("amber", "Only 1 of 10000 keys were looked at.")
    policies = replace(FACTS, receiving=(), receiving_count=21)
    finding = of_network("mta-sts", facts=policies)
    assert (finding.level, finding.detail) == ("amber", "Only 0 of 21 domains were looked at.")
    assert "--all" in (keys.fix or "")
    assert "--all" in (finding.fix or "")


def test_a_second_text_beside_a_key_is_red() -> None:
    texts = ("v=DKIM1; k=rsa; p=AAAA", "v=DKIM1; k=rsa; p=BBBB")
    finding = of_records("dkim", {(KEY.name, "TXT"): texts})
    assert (finding.level, finding.detail.startswith("2 TXT records")) == ("red", True)


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        (("v=DKIM1; k=rsa; p=AAAA",), "green"),
        ((), "red"),
        (("v=DKIM1; k=rsa; p=BBBB",), "red"),
        (None, "amber"),
    ],
)
def test_trial_keys_that_wait_are_to_be_in_dns(texts: Values | None, level: str) -> None:
    facts = replace(FACTS, pool=(1, 4), waiting=(KEY,))
    assert of_records("trial-keys", {(KEY.name, "TXT"): texts}, facts).level == level


def test_new_trial_keys_that_are_not_published_are_told_with_the_first_name() -> None:
    new = replace(KEY, name="s2._domainkey.trial.gatepost.test")
    finding = of_records("trial-keys", facts=replace(FACTS, pool=(2, 4), waiting=(KEY, new)))
    assert (finding.level, new.name in finding.detail) == ("amber", True)
    assert "gatepost platform records" in (finding.fix or "")


@pytest.mark.parametrize(("waiting", "level"), [(0, "red"), (9, "amber"), (50, "green")])
def test_a_pool_of_trial_keys_is_told_before_it_is_empty(waiting: int, level: str) -> None:
    assert of_records("trial-keys", facts=replace(FACTS, pool=(waiting, 100))).level == level


def test_a_host_without_dmarc_is_amber() -> None:
    assert of_records("dmarc", {(f"_dmarc.{HOST}", "TXT"): ()}).level == "amber"
    assert of_records("dmarc").level == "green"


def test_a_port_that_nobody_answers_at_is_red() -> None:
    finding = of_network("port", Peer([HOST]))
    assert (finding.level, finding.detail) == ("red", "Nobody answers: connection refused.")


def test_a_blocked_port_25_prints_the_command_for_a_smarthost() -> None:
    peer = Peer(["mx1.peer.test"])
    finding = of_network("outbound", peer)
    assert finding.level == "red"
    command, url = (finding.fix or "").split("`")[1].rsplit(" ", 1)
    assert command == "gatepost shard route s1.acme.test"
    route, credentials = parse_route(url.strip("'").replace("SPF-NAME-OF-ITS-PROVIDER", "spf.peer.test"))
    assert (route.host, route.spf, credentials is None) == ("smarthost", ("include:spf.peer.test",), False)
    assert ("mx1.peer.test", 25) in peer.asked


def test_nothing_outside_is_tried_where_no_shard_sends_directly() -> None:
    peer = Peer()
    assert of_network("outbound", peer, replace(FACTS, direct=())).level == "green"
    assert peer.asked == []


def certificate(folder: Path, days: float, name: str) -> Path:
    """A certificate that ends `days` after NOW."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize(
    ("days", "name", "level"),
    [
        (60, HOST, "green"),
        (60, "*.gatepost.test", "green"),
        (60, "*.other.test", "red"),
        (5, HOST, "amber"),
        (-1, HOST, "red"),
    ],
)
def test_certificates_are_to_be_valid_and_for_the_host_name(
    tmp_path: Path, days: float, name: str, level: str
) -> None:
    assert of_network("certificate", certificate=certificate(tmp_path, days, name)).level == level


def test_a_certificate_that_cannot_be_read_is_told_as_such(tmp_path: Path) -> None:
    finding = of_network("certificate", certificate=tmp_path / "none.pem")
    assert (finding.level, "could not be looked at" in finding.detail) == ("amber", True)


@pytest.mark.parametrize(
    ("announced", "page", "level"),
    [
        (False, None, "green"),
        (True, None, "red"),
        (True, "<html>", "red"),
        (True, "version: STSv1\nmode: enforce\n", "green"),
    ],
)
def test_an_announced_policy_can_be_fetched(announced: bool, page: str | None, level: str) -> None:
    url = "https://mta-sts.acme.test/.well-known/mta-sts.txt"
    peer = Peer(pages={} if page is None else {url: page})
    answers: Answers = {("_mta-sts.acme.test", "TXT"): ("v=STSv1; id=1",)} if announced else {}
    facts = replace(FACTS, receiving=("acme.test",))
    assert of_network("mta-sts", peer, facts, answers).level == level


def of_machine(name: str, folder: Path, **changes: Any) -> Finding:
    file = folder / "master.key"
    file.touch(mode=0o600)
    machine = replace(Machine([folder], 0, file, lambda: None, lambda: None), **changes)
    return found(machine_checks(machine, lambda: NOW), name)


def test_a_clock_that_is_the_only_one_is_not_said_to_agree(tmp_path: Path) -> None:
    assert of_machine("clock", tmp_path).detail.startswith("Not compared")


@pytest.mark.parametrize(("off", "level"), [(0.5, "green"), (-10, "amber"), (90, "red")])
def test_clocks_are_to_agree(tmp_path: Path, off: float, level: str) -> None:
    assert of_machine("clock", tmp_path, database_time=lambda: NOW + off).level == level


@pytest.mark.parametrize(
    ("waits", "level"), [(None, "green"), (60, "green"), (7_200, "amber"), (90_000, "red")]
)
def test_mail_that_does_not_leave_is_told(tmp_path: Path, waits: float | None, level: str) -> None:
    assert of_machine("queue", tmp_path, longest_wait=lambda: waits).level == level


@pytest.mark.parametrize(
    ("mode", "level"), [(0o600, "green"), (0o400, "green"), (0o640, "amber"), (0o644, "red")]
)
def test_the_master_key_is_its_owners(tmp_path: Path, mode: int, level: str) -> None:
    file = tmp_path / "k"
    file.touch()
    file.chmod(mode)
    assert of_machine("master-key", tmp_path, master_key=file).level == level


def test_a_disk_that_is_too_full_for_mail_is_red(tmp_path: Path) -> None:
    assert of_machine("disk", tmp_path, least_free=1 << 60).level == "red"


def test_a_check_that_hangs_or_breaks_is_a_finding_and_holds_up_no_other() -> None:
    ended = threading.Event()

    def hang() -> list[Finding]:
        ended.wait(30)
        return []

    def broken() -> list[Finding]:
        raise IndexError

    def check(name: str, run: Callable[[], Any]) -> Check:
        return Check(name, name, run)

    fine = Finding("fine", "fine", "green", "Fine.")
    findings = run_checks([check("hangs", hang), check("breaks", broken), check("fine", lambda: fine)], 0.2)
    ended.set()
    assert [(one.name, one.level) for one in findings] == [
        ("hangs", "amber"),
        ("breaks", "amber"),
        ("fine", "green"),
    ]


def test_a_report_has_the_worst_first_and_is_as_bad_as_that() -> None:
    levels: list[Any] = ["green", "red", "amber"]
    report = report_of([Finding(level, "", level, "") for level in levels], NOW)
    assert (report.level, [one.level for one in report.findings]) == ("red", ["red", "amber", "green"])
    assert report_of([], NOW).level == "green"
