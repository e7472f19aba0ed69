"""From a route to an open connection: the hosts in order, the first that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.outgoing.relay.connection import Approach, ConnectFailed, Connection, Connector
from gateway.outgoing.relay.hosts import Hosts
from gateway.outgoing.relay.routes import MxRoute, SmarthostRoute
from gateway.outgoing.relay.settlement import RelayMetrics

if TYPE_CHECKING:
    from gateway.control.records import ShardRecord


class Opener:
    """Opens connections for a shard: from its source address, under that address's HELO name.

    `helo` is used where a shard has no source address of its own.
    """

    def __init__(self, hosts: Hosts, connector: Connector, helo: str, metrics: RelayMetrics | None) -> None:
        self._hosts = hosts
        self._connector = connector
        self._helo = helo
        self._metrics = metrics
        self._log = structlog.get_logger("gateway.outgoing.relay")

    async def open(self, shard: ShardRecord, route: MxRoute | SmarthostRoute, destination: str) -> Connection:
        """The best host that answers. Raises NoWay, or the last host's ConnectFailed."""
        endpoints = await self._hosts.of(route, destination, shard.source)
        approach = self._approach(shard, route)
        trouble: ConnectFailed | None = None
        for endpoint in endpoints:
            try:
                connection = await self._connector.open(endpoint, approach)
            except ConnectFailed as error:
                trouble = error
                self._tell("connection_failed", shard, peer=str(endpoint), reply=error.reply.text)
            else:
                self._tell("connected", shard, peer=str(endpoint), tls=connection.tls)
                return connection
        assert trouble is not None, "hosts are never none"
        raise trouble

    def _approach(self, shard: ShardRecord, route: MxRoute | SmarthostRoute) -> Approach:
        source = shard.source
        smarthost = route if isinstance(route, SmarthostRoute) else None
        return Approach(
            helo=source.helo if source is not None else self._helo,
            security=smarthost.security if smarthost else "opportunistic",
            source_ipv4=source.ipv4 if source is not None else None,
            source_ipv6=source.ipv6 if source is not None else None,
            credentials=smarthost.credentials if smarthost else None,
        )

    def _tell(self, event: str, shard: ShardRecord, **facts: str | None) -> None:
        self._log.info(event, tenant_id=shard.tenant_id, shard=shard.name, **facts)
        if self._metrics is not None:
            self._metrics.connection(event == "connected")
