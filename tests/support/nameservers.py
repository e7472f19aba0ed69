"""Real name servers on loopback: Knot as the authority, Unbound as the resolver.

Fixtures (one of each a module):
    authority   zones that are edited while it serves, by dynamic updates with TSIG
    resolver    asks the authority for every zone of it, keeps negative answers for a second, validates DNSSEC

All name servers of the test zones have the address 127.0.0.1 and the authority's port, whatever the port is.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest

from tests.support.dns import txt
from tests.support.gateway import free_port
from tests.support.peers import RequirePeer

TSIG_NAME = "gatepost"
TSIG_SECRET = base64.b64encode(b"a secret of the tests, 32 octets").decode()
START_SECONDS = 60.0

_ZONE = """\
$ORIGIN {zone}.
$TTL {ttl}
@ SOA ns1.{zone}. hostmaster.{zone}. 1 3600 600 86400 {negative}
@ NS ns1.{zone}.
ns1 A 127.0.0.1
"""

_KNOT = """\
server:
    rundir: "{folder}/run"
    listen: 127.0.0.1@{port}
    tcp-workers: 2
    udp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}/db"
key:
  - id: {key}
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: update
    key: {key}
    action: [update, transfer]
template:
  - id: default
    storage: "{folder}/zones"
    acl: update
    zonefile-sync: -1
    zonefile-load: none
    journal-content: all
    semantic-checks: off
"""

_UNBOUND = """\
server:
    interface: 127.0.0.1@{port}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-daemonize: no
    use-syslog: no
    logfile: ""
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    num-threads: 1
    so-reuseport: no
    module-config: "{modules}"
    cache-min-ttl: 0
    cache-max-negative-ttl: 1
    infra-host-ttl: 1
    minimal-responses: no
    harden-dnssec-stripped: yes
    root-hints: ""
    qname-minimisation: no
    unblock-lan-zones: yes
    insecure-lan-zones: yes
    local-zone: "test." nodefault
{anchors}
remote-control:
    control-enable: no
{stubs}
"""


class Authority:
    """A Knot server; `zones` maps each zone to nothing special: records come by `put`."""

    def __init__(
        self,
        folder: Path,
        knotd: Path,
        zones: Sequence[str],
        *,
        ttl: int,
        negative: int,
        signed: Collection[str] = (),
    ) -> None:
        """`signed`: those of the zones that have DNSSEC."""
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._folder = folder
        self._knotd = knotd
        self.zones = tuple(zones)
        for name in ("run", "db", "zones"):
            (folder / name).mkdir(parents=True)
        config = _KNOT.format(folder=folder, port=self.port, key=TSIG_NAME, secret=TSIG_SECRET)
        config += "zone:\n"
        for zone in zones:
            config += f"  - domain: {zone}\n    zonefile-load: whole\n"
            config += "    dnssec-signing: on\n" if zone in signed else ""
            text = _ZONE.format(zone=zone, ttl=ttl, negative=negative)
            (folder / "zones" / f"{zone}.zone").write_text(text)
        (folder / "knot.conf").write_text(config)
        self._ttl = ttl
        self._keyring = dns.tsigkeyring.from_text({TSIG_NAME: TSIG_SECRET})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve, and wait until every zone is answered for."""
        with (self._folder / "knot.log").open("ab") as log:
            command = [str(self._knotd), "-c", str(self._folder / "knot.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        for zone in self.zones:
            _await_answer(self.port, zone, self._process, self._folder / "knot.log")

    def stop(self) -> None:
        """Stop serving; what was put stays in the journal for the next `start`."""
        _end(self._process)

    def put(self, name: str, kind: str, *values: str, ttl: int | None = None) -> None:
        """Replace the records of a name and type; TXT values are whole texts. No values: none is left."""
        self.change({(name, kind): values}, ttl)

    def change(self, records: Mapping[tuple[str, str], Sequence[str]], ttl: int | None = None) -> None:
        """Replace several, which must lie in one zone, in one update."""
        zone = self.zone_of(next(iter(records))[0])
        update = dns.update.UpdateMessage(zone, keyring=self._keyring, keyalgorithm=dns.tsig.HMAC_SHA256)
        for (name, kind), values in records.items():
            owner = dns.name.from_text(name + ".")
            update.delete(owner, kind)
            for value in values:
                update.add(owner, self._ttl if ttl is None else ttl, kind, _master(kind, value))
        answer = dns.query.tcp(update, "127.0.0.1", port=self.port, timeout=10)
        assert answer.rcode() == dns.rcode.NOERROR, answer

    def zone_of(self, name: str) -> str:
        """The zone that a name lies in: the longest."""
        above = [zone for zone in self.zones if name == zone or name.endswith("." + zone)]
        return max(above, key=len)

    def ask(self, name: str, kind: str) -> list[str]:
        """What it answers, in master-file form."""
        query = dns.message.make_query(name + ".", kind)
        answer = dns.query.tcp(query, "127.0.0.1", port=self.port, timeout=10)
        return sorted(str(one) for rrset in answer.answer for one in rrset)


class LocalResolver:
    """An Unbound server that knows the authority's zones and nothing else."""

    def __init__(
        self, folder: Path, unbound: Path, stubs: Mapping[str, int], anchors: Sequence[str] = ()
    ) -> None:
        """`stubs`: from zones to the ports of their servers; `anchors`: trust anchors (DS) in text."""
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._folder = folder
        self._unbound = unbound
        self._stubs = dict(stubs)
        folder.mkdir(parents=True, exist_ok=True)
        self.trust(*anchors)
        self._process: subprocess.Popen[bytes] | None = None

    def trust(self, *anchors: str) -> None:
        """Validate by these trust anchors (DS) alone from the next `start` on."""
        config = _UNBOUND.format(
            port=self.port,
            folder=self._folder,
            modules="validator iterator" if anchors else "iterator",
            anchors="".join(f'    trust-anchor: "{one}"\n' for one in anchors),
            stubs="".join(
                f'stub-zone:\n    name: "{zone}."\n    stub-addr: 127.0.0.1@{port}\n    stub-prime: no\n'
                for zone, port in self._stubs.items()
            ),
        )
        (self._folder / "unbound.conf").write_text(config)

    def start(self) -> None:
        """Serve, and wait until it answers."""
        with (self._folder / "unbound.log").open("ab") as log:
            command = [str(self._unbound), "-d", "-c", str(self._folder / "unbound.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        _await_answer(self.port, list(self._stubs)[-1], self._process, self._folder / "unbound.log")

    def stop(self) -> None:
        """Stop serving, and forget everything."""
        _end(self._process)


@contextmanager
def running_authority(
    require_peer: RequirePeer, *zones: str, ttl: int = 2, negative: int = 1, signed: Collection[str] = ()
) -> Iterator[Authority]:
    """An authority for `zones` until the block ends."""
    with _folder() as folder:
        knotd = require_peer("knot")
        authority = Authority(folder, knotd, zones, ttl=ttl, negative=negative, signed=signed)
        try:
            authority.start()
            yield authority
        finally:
            authority.stop()


@contextmanager
def running_resolver(
    require_peer: RequirePeer, stubs: Mapping[str, int], anchors: Sequence[str] = ()
) -> Iterator[LocalResolver]:
    """A resolver until the block ends."""
    with _folder() as folder:
        resolver = LocalResolver(folder, require_peer("unbound"), stubs, anchors)
        try:
            resolver.start()
            yield resolver
        finally:
            resolver.stop()


CUSTOMER_ZONES = ("acme.test", "other.test", "gatepost.test")


@pytest.fixture(scope="module")
def authority(require_peer: RequirePeer) -> Iterator[Authority]:
    """An authority for two customers' zones and the platform's."""
    with running_authority(require_peer, *CUSTOMER_ZONES) as running:
        yield running


@pytest.fixture(scope="module")
def resolver(require_peer: RequirePeer, authority: Authority) -> Iterator[LocalResolver]:
    """A resolver over `authority`."""
    stubs = dict.fromkeys(authority.zones, authority.port)
    with running_resolver(require_peer, stubs) as running:
        yield running


@contextmanager
def _folder() -> Iterator[Path]:
    # Short, for Knot's control socket; readable by a daemon that gives up root.
    folder = Path(tempfile.mkdtemp(prefix="gp-dns-"))
    try:
        yield folder / "server"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await_answer(port: int, zone: str, process: subprocess.Popen[bytes], log: Path) -> None:
    query = dns.message.make_query(zone + ".", dns.rdatatype.SOA)
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text("utf-8", "replace")
        try:
            if dns.query.udp(query, "127.0.0.1", port=port, timeout=0.5).answer:
                return
        except (dns.exception.DNSException, OSError):
            pass
        assert time.monotonic() < deadline, log.read_text("utf-8", "replace")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.poll() is None:
        process.terminate()
        process.wait(60)


def _master(kind: str, value: str) -> str:
    return txt(value) if kind == "TXT" and not value.startswith('"') else value
