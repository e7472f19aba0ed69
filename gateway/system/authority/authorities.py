"""Questions to the servers of the zone that a name lies in, and to the resolver."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

import structlog

from gateway.system.addresses import is_public
from gateway.system.authority.exchange import Exchange, NoReply, Server
from gateway.system.authority.pace import Pace
from gateway.system.authority.reading import Delegation, delegation, observed
from gateway.system.authority.wire import Malformed, Reply
from gateway.system.authority.zones import Away, Budget, Busy, Zone, ZoneCache, above
from gateway.system.clock import Clock
from gateway.system.observation import Observation, Question

_MOST_TRIES = 3
_MOST_REFERRALS = 3
_PATIENCE_SECONDS = 5.0
_TROUBLE_SECONDS = 300.0
_MOST_TROUBLED = 10_000
_ZONE_SECONDS = (5.0, 3_600.0)
_ADDRESS_SECONDS = (30.0, 3_600.0)
_DNS_PORT = 53


class Authorities:
    """Finds, remembers and asks name servers. Use one for each event loop, and close it at the end."""

    def __init__(
        self,
        exchange: Exchange,
        pace: Pace,
        resolvers: Sequence[Server],
        clock: Clock,
        *,
        port: int = _DNS_PORT,
        allow_private: bool = False,
    ) -> None:
        """`resolvers` are asked for everything but the records themselves; `port` is the authorities'.

        `allow_private`: strangers' zones may name servers in one's own network.
        """
        self._exchange = exchange
        self._pace = pace
        self._resolvers = tuple(resolvers)
        self._clock = clock
        self._port = port
        self._allow_private = allow_private
        self._zones = ZoneCache(clock)
        self._addresses: dict[str, tuple[tuple[str, ...], float]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Of those who look for the addresses of a server: each has a budget of its own to do so."""
        self._troubled: dict[Server, float] = {}
        self._log = structlog.get_logger("gateway.dns")

    async def ask(self, question: Question, near: str, budget: Budget) -> Observation:
        """What the authority says; `near`: the domain whose zone the name lies in or below.

        What cannot be had is `away`. Raises Busy where its servers have enough to do, BudgetSpent.
        """
        try:
            zone = await self._zone(near, question, budget)
            if isinstance(zone, Observation):
                return zone
            for _ in range(_MOST_REFERRALS):
                answer = await self._ask_zone(zone, question, budget)
                if isinstance(answer, Observation):
                    return replace(answer, zone=zone.name, servers=zone.servers)
                zone = self._zones.keep(answer.zone, answer.servers, _clamped(answer.seconds, _ZONE_SECONDS))
            raise Away(f"the zone {zone.name} refers on and on")
        except Away as error:
            return _away(question, str(error), near)
        except Malformed as error:
            return self._refused(question, error)

    async def ask_resolver(self, question: Question, budget: Budget) -> Observation:
        """What the resolver says. What cannot be had is `away`. Raises BudgetSpent."""
        why = "no name server is configured; set [dns] servers"
        try:
            for server in self._resolvers[:_MOST_TRIES]:
                if budget.gave_up(server):
                    why = f"the resolver {server} does not answer"
                    continue
                budget.take()
                try:
                    reply = await self._answer(server, question, budget, recursive=True)
                except NoReply as error:
                    why = f"the resolver {server}: {error}"
                    continue
                if reply.rcode in ("NOERROR", "NXDOMAIN"):
                    return replace(observed(question, reply), source="resolver")
                why = f"the resolver {server}: {reply.rcode}"
        except Malformed as error:
            return replace(self._refused(question, error), source="resolver")
        return replace(_away(question, why), source="resolver")

    async def close(self) -> None:
        """Close every socket."""
        await self._exchange.close()

    async def _answer(self, server: Server, question: Question, budget: Budget, *, recursive: bool) -> Reply:
        """A server's answer, and the budget knows whether there was one.

        A question that must be asked twice, over TCP too, costs two of the budget and of the server's pace.
        Raises NoReply, Malformed, BudgetSpent.
        """

        async def again() -> None:
            budget.take()
            if not recursive:
                await self._pace.turn(server.address)

        try:
            reply = await self._exchange.ask(server, question, recursive=recursive, again=again)
        except NoReply:
            budget.note(server, answered=False)
            raise
        budget.note(server, answered=True)
        return reply

    async def _zone(self, near: str, question: Question, budget: Budget) -> Zone | Observation:
        """The zone of a name; an observation where the resolver knows that there is none."""
        known = self._zones.of(question.name, near)
        if known is not None:
            return known
        found = await self._zones.once(near, lambda: self._find_zone(near, budget))
        if found is None:
            return _unregistered(question, near)
        if not list(above(question.name, found.name)):
            raise Away(f"{question.name} does not lie in the zone {found.name}")
        return found

    async def _find_zone(self, near: str, budget: Budget) -> Zone | None:
        seen = await self.ask_resolver(Question(near, "NS"), budget)
        if seen.outcome in ("absent", "no-such-name") and "." in seen.zone and near in above(near, seen.zone):
            seen = await self.ask_resolver(Question(seen.zone, "NS"), budget)
        if seen.outcome == "away":
            raise Away(seen.reason or "no answer")
        if seen.outcome == "no-such-name":
            return None
        if not seen.answers or seen.chain:
            raise Away(f"no name servers are known for {near}")
        return self._zones.keep(seen.name, seen.answers, _clamped(seen.seconds, _ZONE_SECONDS))

    async def _ask_zone(self, zone: Zone, question: Question, budget: Budget) -> Observation | Delegation:
        """The answer of the first server that has one. Raises Away, Malformed, Busy."""
        servers = await self._servers(zone, budget)
        why = "their addresses are not known"
        for server in (servers * 2)[: max(2, min(len(servers), _MOST_TRIES))]:
            if budget.gave_up(server):
                why = f"{server} does not answer"
                continue
            if (seconds := self._pace.wait(server.address)) > _PATIENCE_SECONDS:
                raise Busy(seconds)
            budget.take()
            await self._pace.turn(server.address)
            try:
                reply = await self._answer(server, question, budget, recursive=False)
            except NoReply as error:
                why = f"{server}: {error}"
            else:
                referred = delegation(question, reply, zone.name)
                if referred is not None:
                    return referred
                if (fault := _fault(reply)) is None:
                    self._troubled.pop(server, None)
                    return observed(question, reply)
                why = f"{server}: {fault}"
            self._note_trouble(server)
        self._zones.forget(zone.name)
        raise Away(why)

    async def _servers(self, zone: Zone, budget: Budget) -> list[Server]:
        """The zone's servers, as many as are needed, the best first."""
        found: list[Server] = []
        for name in zone.shuffled(self._clock.now()):
            if len(found) >= _MOST_TRIES:
                break
            if found and not self._is_troubled(found[0]) and name not in self._addresses:
                # One that works is enough: another's address is not worth a question.
                continue
            found += [Server(address, self._port) for address in await self._addresses_of(name, budget)]
            found.sort(key=lambda one: (self._is_troubled(one), self._pace.wait(one.address)))
        return found

    async def _addresses_of(self, name: str, budget: Budget) -> tuple[str, ...]:
        """A server's addresses; whoever asks while somebody else does waits for the same answer."""
        async with self._turns.setdefault(name, asyncio.Lock()):
            known, until = self._addresses.get(name, ((), 0.0))
            if until > self._clock.monotonic():
                return known
            return await self._look_up(name, budget)

    async def _look_up(self, name: str, budget: Budget) -> tuple[str, ...]:
        for kind in ("A", "AAAA"):
            seen = await self.ask_resolver(Question(name, kind), budget)
            addresses = tuple(one for one in seen.answers if self._may_ask(one))
            if addresses or seen.outcome == "no-such-name":
                break
        until = self._clock.monotonic() + _clamped(seen.seconds, _ADDRESS_SECONDS)
        self._addresses[name] = (addresses, until)
        if len(self._addresses) > _MOST_TROUBLED:
            self._addresses.pop(next(iter(self._addresses)))
        return addresses

    def _may_ask(self, address: str) -> bool:
        """Whether a stranger's zone may make us ask there. Another port than 53 is a test's own."""
        return self._port != _DNS_PORT or self._allow_private or is_public(address)

    def _is_troubled(self, server: Server) -> bool:
        return self._troubled.get(server, 0.0) > self._clock.monotonic()

    def _note_trouble(self, server: Server) -> None:
        self._troubled[server] = self._clock.monotonic() + _TROUBLE_SECONDS
        if len(self._troubled) > _MOST_TROUBLED:
            self._troubled.pop(next(iter(self._troubled)))

    def _refused(self, question: Question, error: Malformed) -> Observation:
        self._log.warning("dns_answer_refused", name=question.name, type=question.type, reason=str(error))
        return _away(question, str(error))


def _fault(reply: Reply) -> str | None:
    """Why a server's answer is not the zone's; None if it is."""
    if reply.rcode not in ("NOERROR", "NXDOMAIN"):
        return reply.rcode
    return None if reply.authoritative else "it does not answer for the zone (lame)"


def _away(question: Question, why: str, zone: str = "") -> Observation:
    return Observation(question.name, question.type, "away", reason=why, zone=zone)


def _unregistered(question: Question, near: str) -> Observation:
    return Observation(question.name, question.type, "no-such-name", reason=f"{near} does not exist in DNS")


def _clamped(seconds: float, limits: tuple[float, float]) -> float:
    return min(max(seconds, limits[0]), limits[1])
