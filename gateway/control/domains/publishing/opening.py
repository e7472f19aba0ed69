"""From the configuration to a channel."""

from __future__ import annotations

from gateway.control.domains.publishing.channel import Channel
from gateway.control.domains.publishing.command import ByHand, CommandChannel
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.control.domains.publishing.server import NameServer
from gateway.control.domains.publishing.updates import UpdateChannel, load_secret
from gateway.control.domains.publishing.values import only_ours
from gateway.control.settings import ControlSettings
from gateway.system.config import PublishingConfig


def open_channel(config: PublishingConfig, settings: ControlSettings, look: ResolverLook) -> Channel:
    """What publishes, as it is configured. Nothing is asked or read yet."""
    ttl = int(config.ttl_seconds)
    secret_file = config.tsig_secret_file
    if config.server is not None and secret_file is not None:
        server = NameServer(
            config.server.host,
            config.server.port,
            config.tsig_name or "",
            config.tsig_algorithm,
            lambda: load_secret(secret_file.read_text("ascii")),
        )
        return UpdateChannel(server, config.zones, ttl)
    if config.command is not None:
        return CommandChannel(
            config.command, config.timeout_seconds, ttl, look, [*only_ours(settings), settings.trial_zone]
        )
    return ByHand(look)
