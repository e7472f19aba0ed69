"""The operator's name server: updates, questions and zone transfers, with TSIG and bounded in time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from gateway.control.domains.publishing.channel import ChannelAway, Keep
from gateway.control.domains.publishing.values import TYPES, RecordKey, Values
from gateway.control.domains.zonefile import plain_value

_TIMEOUT_SECONDS = 10.0
_TRANSFER_SECONDS = 120.0
_AT_ONCE = 8


class NameServer:
    """One server, asked over TCP. Its methods block."""

    def __init__(
        self, address: str, port: int, key_name: str, algorithm: str, secret: Callable[[], bytes]
    ) -> None:
        """`secret` is asked before each use, so that a changed file counts. It raises ValueError, OSError."""
        self._address = address
        self._port = port
        self._key_name = dns.name.from_text(key_name)
        self._algorithm = dns.name.from_text(algorithm)
        self._secret = secret

    def __str__(self) -> str:
        return f"[{self._address}]:{self._port}" if ":" in self._address else f"{self._address}:{self._port}"

    def new_update(self, zone: str) -> dns.update.UpdateMessage:
        """An empty update, signed when it is sent. Raises ChannelAway."""
        return dns.update.UpdateMessage(zone + ".", keyring=self._key())

    def update(self, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        """Send an update; what the server says. Raises ChannelAway."""
        return self._ask(message).rcode()

    def look(self, keys: Collection[RecordKey]) -> dict[RecordKey, Values | None]:
        """What the server has at these names and types; what it does not say is left out."""
        with ThreadPoolExecutor(_AT_ONCE, "look") as threads:
            found = zip(keys, threads.map(self._look, keys), strict=True)
            return {key: values for key, (known, values) in found if known}

    def transfer(self, zone: str, keep: Keep) -> dict[RecordKey, Values] | None:
        """What a zone has of TYPES and `keep` wants, None if it is not given away. Raises ChannelAway.

        The rest is dropped as it comes: zones may be large.
        """
        copy = dns.zone.Zone(zone + ".", relativize=False)
        copy.writable_version_factory = partial(_Kept, keep=keep)
        query, _ = dns.xfr.make_query(copy, keyring=self._key(), keyalgorithm=self._algorithm)
        try:
            dns.query.inbound_xfr(
                self._address, copy, query, self._port, _TIMEOUT_SECONDS, lifetime=_TRANSFER_SECONDS
            )
        except (dns.xfr.TransferError, EOFError):
            return None
        except (dns.exception.DNSException, OSError) as error:
            raise ChannelAway(f"{self} gives no transfer of {zone}: {_said(error)}") from error
        return {
            RecordKey(_name(name), dns.rdatatype.to_text(rdataset.rdtype)): _values(rdataset)
            for name, rdataset in copy.iterate_rdatasets()
        }

    def _look(self, key: RecordKey) -> tuple[bool, Values | None]:
        query = dns.message.make_query(key.name + ".", key.type)
        query.flags &= ~dns.flags.RD
        try:
            answer = self._ask(query)
        except ChannelAway:
            return False, None
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return False, None
        owner = dns.name.from_text(key.name)
        rrset = answer.get_rrset(answer.answer, owner, dns.rdataclass.IN, dns.rdatatype.from_text(key.type))
        return True, _values(rrset) if rrset else None

    def _ask(self, message: dns.message.Message) -> dns.message.Message:
        try:
            return dns.query.tcp(message, self._address, _TIMEOUT_SECONDS, self._port)
        except dns.tsig.PeerError as error:
            raise ChannelAway(f"{self} does not take our TSIG key: {_said(error)}") from error
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise ChannelAway(f"{self} cannot be asked: {_said(error)}") from error

    def _key(self) -> dns.tsig.Key:
        try:
            return dns.tsig.Key(self._key_name, self._secret(), self._algorithm)
        except (OSError, ValueError) as error:
            raise ChannelAway(f"the TSIG secret cannot be read: {_said(error)}") from error


class _Kept(dns.zone.WritableVersion):
    """The copy of a zone that is being transferred: of each message only what is of interest."""

    def __init__(self, zone: dns.zone.Zone, replacement: bool = False, *, keep: Keep) -> None:
        super().__init__(zone, replacement)
        self._keep = keep

    def put_rdataset(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        """Take it over, or not."""
        kind = dns.rdatatype.to_text(rdataset.rdtype)
        if kind in TYPES and self._keep(RecordKey(_name(name), kind)):
            super().put_rdataset(name, rdataset)


def _values(rdataset: dns.rdataset.Rdataset) -> Values:
    return tuple(sorted(plain_value(record) for record in rdataset))


def _name(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]
