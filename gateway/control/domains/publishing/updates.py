"""Dynamic updates of a name server (RFC 2136) signed with TSIG (RFC 8945).

Every change has a prerequisite, so that what others put there is never overwritten: a new record asks that
its name and type be free, a change that they be as we left them. An update is refused as a whole then; it is
halved until the change that is in the way stands alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator, Sequence

import dns.exception
import dns.rcode
import dns.update

from gateway.control.domains.names import is_below
from gateway.control.domains.publishing.channel import ChannelAway, Keep, Seen
from gateway.control.domains.publishing.server import NameServer
from gateway.control.domains.publishing.values import Change, Outcome, RecordKey, Values, foreign_words
from gateway.control.domains.zonefile import rdata_of

_MOST_CHANGES = 50
_MOST_OCTETS = 16_384
_UNMET = (dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.YXDOMAIN, dns.rcode.NXDOMAIN)


class UpdateChannel:
    """A Channel: the operator's name server, whose `zones` may be written to."""

    is_automatic = True

    def __init__(self, server: NameServer, zones: Collection[str], ttl: int) -> None:
        """`ttl`: seconds, of every record."""
        self._server = server
        self._zones = sorted(zones, key=len, reverse=True)
        self._ttl = ttl

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """See Channel."""
        outcomes: list[Outcome] = []
        for zone, batch in self._batches(changes):
            if zone is None:
                outcomes += [Outcome(one, _no_zone(one, self._zones)) for one in batch]
                continue
            try:
                outcomes += self._send(zone, batch)
            except ChannelAway as error:
                outcomes += [Outcome(one, str(error)) for one in batch]
        return outcomes

    def look(self, keys: Collection[RecordKey]) -> Seen:
        """See Channel."""
        return self._server.look([key for key in keys if self._zone_of(key.name) is not None])

    def everything(self, keep: Keep) -> Seen | None:
        """See Channel: what zone transfers show."""
        found: dict[RecordKey, Values | None] = {}
        for zone in self._zones:
            records = self._server.transfer(zone, keep)
            if records is None:
                return None
            found |= records
        return found

    def _zone_of(self, name: str) -> str | None:
        return next((zone for zone in self._zones if is_below(name, zone)), None)

    def _batches(self, changes: Sequence[Change]) -> Iterator[tuple[str | None, list[Change]]]:
        """Changes of one zone in updates of bounded size; what is put comes after what is taken away."""
        of_zone: dict[str | None, list[Change]] = {}
        for change in sorted(changes, key=lambda one: one.after is not None):
            of_zone.setdefault(self._zone_of(change.key.name), []).append(change)
        for zone, all_of_it in of_zone.items():
            batch: list[Change] = []
            octets = 0
            for change in all_of_it:
                size = _octets(change)
                mixed = bool(batch) and (batch[0].after is None) != (change.after is None)
                if batch and (len(batch) >= _MOST_CHANGES or octets + size > _MOST_OCTETS or mixed):
                    yield zone, batch
                    batch, octets = [], 0
                batch.append(change)
                octets += size
            yield zone, batch

    def _send(self, zone: str, batch: Sequence[Change]) -> list[Outcome]:
        """Raises ChannelAway."""
        try:
            update = self._update(zone, [(change, change.before) for change in batch])
        except dns.exception.DNSException as error:
            if len(batch) == 1:
                return [Outcome(batch[0], f"the record cannot be written: {error}")]
            return self._halved(zone, batch)
        rcode = self._server.update(update)
        if rcode == dns.rcode.NOERROR:
            return [Outcome(change) for change in batch]
        if rcode in _UNMET:
            return [self._settle(zone, batch[0])] if len(batch) == 1 else self._halved(zone, batch)
        raise ChannelAway(f"{self._server} refuses updates of {zone}: {dns.rcode.to_text(rcode)}")

    def _halved(self, zone: str, batch: Sequence[Change]) -> list[Outcome]:
        middle = len(batch) // 2
        return [*self._send(zone, batch[:middle]), *self._send(zone, batch[middle:])]

    def _settle(self, zone: str, change: Change) -> Outcome:
        """Something else stands there than was thought: done already, ours, or somebody else's?"""
        seen = self._server.look([change.key])
        if change.key not in seen:
            raise ChannelAway(f"{self._server} does not say what stands at {change.key.name}")
        found = seen[change.key]
        if found == change.after or (change.after is None and found not in change.ours):
            # Done already, or nothing of ours to take away.
            return Outcome(change)
        if found is not None and found not in change.ours:
            return Outcome(change, foreign_words(change.key, found))
        rcode = self._server.update(self._update(zone, [(change, found)]))
        if rcode == dns.rcode.NOERROR:
            return Outcome(change)
        if rcode in _UNMET:
            return Outcome(change, f"{change.key.name} has other records, which are not overwritten")
        raise ChannelAway(f"{self._server} refuses updates of {zone}: {dns.rcode.to_text(rcode)}")

    def _update(self, zone: str, changes: Sequence[tuple[Change, Values | None]]) -> dns.update.UpdateMessage:
        update = self._server.new_update(zone)
        for change, there in changes:
            name, kind = change.key.name + ".", change.key.type
            if there is not None:
                update.present(name, *rdata_of(kind, there))
            elif kind == "CNAME":
                update.absent(name)
            else:
                update.absent(name, kind)
                update.absent(name, "CNAME")
        for change, _ in changes:
            name, kind = change.key.name + ".", change.key.type
            update.delete(name, kind)
            if change.after is not None:
                update.add(name, *(self._ttl, *rdata_of(kind, change.after)))
        return update


def load_secret(text: str) -> bytes:
    """The secret of a TSIG key from a file's text. Raises ValueError, without any of it."""
    word = text.strip()
    try:
        secret = base64.b64decode(word, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) < 16:
        raise ValueError("the file holds no TSIG secret of 16 octets or more in base64")
    return secret


def _octets(change: Change) -> int:
    values: Sequence[str] = (*(change.before or ()), *(change.after or ()))
    return sum(map(len, values)) + 4 * len(change.key.name) + 64


def _no_zone(change: Change, zones: Collection[str]) -> str:
    return f"{change.key.name} lies in none of the zones that may be written to: {', '.join(zones)}"
