"""Every key of the configuration: its name, its kind, its default, and the attribute it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.system.config import values
from gateway.system.config.model import (
    ApiConfig,
    AuthConfig,
    DkimConfig,
    DnsConfig,
    DoctorConfig,
    DomainsConfig,
    LimitsConfig,
    PublishingConfig,
)
from gateway.system.config.values import Kind

REQUIRED = object()
"""The default of a key that has none."""

ROLES = ("mail", "control")


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `default` is the value itself, REQUIRED, or None if it is worked out from others."""

    name: str
    kind: Kind
    default: Any = None
    attribute: str = ""
    needs_restart: bool = False

    @property
    def field(self) -> str:
        """The attribute of the section's dataclass."""
        return self.attribute or self.name


TOP = (
    Key("hostname", values.host_name(), REQUIRED, needs_restart=True),
    Key("node", values.node_name(), needs_restart=True),
    Key("state_dir", values.path(), needs_restart=True),
    Key("workers", values.integer(1, 256), needs_restart=True),
    Key("roles", values.choices(*ROLES), frozenset(ROLES), needs_restart=True),
    Key("user", values.user_name(), needs_restart=True),
    Key("log_level", values.choice("debug", "info", "warning", "error"), "info", needs_restart=True),
)

_ADDRESSES = values.many(values.endpoint())

_MIB = 1024 * 1024
_api = ApiConfig()
_auth = AuthConfig()
_dns = DnsConfig()
_watch = DomainsConfig()
_DAY = 86_400.0
_YEAR = 366 * _DAY
_limits = LimitsConfig()
_publishing = PublishingConfig()
_ALGORITHMS = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")

SECTIONS: Mapping[str, tuple[Key, ...]] = {
    "listen": (
        Key("submission", _ADDRESSES, needs_restart=True),
        Key("submissions", _ADDRESSES, needs_restart=True),
        Key("inbound", _ADDRESSES, (), needs_restart=True),
        Key("imap", _ADDRESSES, (), needs_restart=True),
        Key("imaps", _ADDRESSES, (), needs_restart=True),
        Key("api", _ADDRESSES, (), needs_restart=True),
        Key("metrics", values.endpoint(), needs_restart=True),
    ),
    "tls": (Key("certificate", values.path(), REQUIRED), Key("key", values.path(), REQUIRED)),
    "control": (
        Key("url", values.database_url(), needs_restart=True),
        Key("migrate", values.choice("auto", "manual"), "auto", needs_restart=True),
        Key("grace", values.duration(0.0, 90 * 86_400.0), 7 * 86_400.0, "grace_seconds", True),
    ),
    "master_key": (Key("file", values.path(), needs_restart=True),),
    "trial": (
        Key("zone", values.host_name(), needs_restart=True),
        Key("selectors", values.integer(0, 10_000), 0, needs_restart=True),
        Key("days", values.integer(0, 3_650), 30, needs_restart=True),
    ),
    "publishing": (
        Key("server", values.endpoint(53), needs_restart=True),
        Key("zones", values.many(values.host_name()), (), needs_restart=True),
        Key("tsig_name", values.host_name(fewest_labels=1), needs_restart=True),
        Key("tsig_algorithm", values.choice(*_ALGORITHMS), _publishing.tsig_algorithm, needs_restart=True),
        Key("tsig_secret_file", values.path(), needs_restart=True),
        Key("command", values.path(), needs_restart=True),
        Key("timeout", values.duration(1.0, 600.0), _publishing.timeout_seconds, "timeout_seconds", True),
        Key("ttl", values.duration(30.0, 86_400.0), _publishing.ttl_seconds, "ttl_seconds", True),
        Key("dmarc_reports", values.mail_address(), needs_restart=True),
        Key("tls_reports", values.mail_address(), needs_restart=True),
    ),
    "dkim": (
        Key("rotate_after", values.duration(0.0, 3_650 * 86_400.0), DkimConfig().rotate_seconds,
            "rotate_seconds", True),
    ),
    "relay": (
        Key("default_route", values.route(), "mx", needs_restart=True),
        Key("ca_file", values.path(), needs_restart=True),
        Key("port", values.integer(1, 65_535), 25, needs_restart=True),
        Key("allowed_recipients", values.many(values.recipient()), (), needs_restart=True),
        Key("allow_private", values.flag(), False, needs_restart=True),
    ),
    "dns": (
        Key("servers", values.many(values.endpoint(53)), (), needs_restart=True),
        Key("queries_per_second", values.integer(1, 100_000), _dns.queries_per_second, needs_restart=True),
        Key("in_flight", values.integer(1, 10_000), _dns.in_flight, needs_restart=True),
        Key("authority_port", values.integer(1, 65_535), _dns.authority_port, needs_restart=True),
        Key("allow_private", values.flag(), _dns.allow_private, needs_restart=True),
    ),
    "domains": (
        Key("claim", values.duration(1.0, _YEAR), _watch.claim_seconds, "claim_seconds", True),
        Key("claims", values.integer(1, 1_000_000), _watch.claims, needs_restart=True),
        Key("grace", values.duration(0.0, _YEAR), _watch.grace_seconds, "grace_seconds", True),
        Key("suspend_after", values.duration(0.0, _YEAR), _watch.suspend_seconds, "suspend_seconds", True),
        Key("release_after", values.duration(0.0, _YEAR), _watch.release_seconds, "release_seconds", True),
        Key("first_look", values.duration(0.5, _DAY), _watch.first_seconds, "first_seconds", True),
        Key("longest_look", values.duration(0.5, _DAY), _watch.longest_seconds, "longest_seconds", True),
    ),
    "api": (
        Key("socket", values.path(), needs_restart=True),
        Key("url", values.web_address(), needs_restart=True),
        Key("requests_per_second", values.integer(1, 1 << 20), _api.requests_per_second, needs_restart=True),
        Key("burst", values.integer(1, 1_000_000), _api.burst, needs_restart=True),
    ),
    "auth": (
        Key("tries_per_connection", values.integer(1, 20), _auth.tries_per_connection),
        Key("hashing_threads", values.integer(1, 32), _auth.hashing_threads, needs_restart=True),
        Key("guess_records", values.integer(1_024, 16_777_216), _auth.guess_records, needs_restart=True),
    ),
    "limits": (
        Key("connections_per_address", values.integer(1, 65_535), _limits.connections_per_address),
        Key("connections_per_process", values.integer(1, 1_000_000), _limits.connections_per_process),
        Key("auth_timeout", values.duration(1.0, 3_600.0), _limits.auth_seconds, "auth_seconds"),
        Key("idle_timeout", values.duration(1.0, 86_400.0), _limits.idle_seconds, "idle_seconds"),
        Key("command_timeout", values.duration(1.0, 3_600.0), _limits.command_seconds, "command_seconds"),
        Key("drain_timeout", values.duration(0.0, 3_600.0), _limits.drain_seconds, "drain_seconds"),
        Key("data_bytes_per_second", values.size(0, 1_000_000_000), _limits.data_bytes_per_second),
        Key("errors_per_connection", values.integer(1, 10_000), _limits.errors_per_connection),
        Key("commands_per_connection", values.integer(10, 1 << 31), _limits.commands_per_connection),
        Key("junk_commands_per_connection", values.integer(1, 1 << 31), _limits.junk_commands_per_connection),
        # RFC 5321 §4.5.3.1.8: 100 recipients at least.
        Key("recipients_per_message", values.integer(100, 100_000), _limits.recipients_per_message),
        # RFC 5321 §4.5.3.1.7: 64 KiB at least.
        Key("message_bytes", values.size(65_536, 1_024 * _MIB), _limits.message_bytes),
        Key("header_bytes", values.size(8_192, 16 * _MIB), _limits.header_bytes, needs_restart=True),
        Key("header_fields", values.integer(100, 100_000), _limits.header_fields, needs_restart=True),
        # RFC 5321 §6.3 asks for 100 where Received fields alone tell a loop; 25 is the least in use.
        Key("hops", values.integer(25, 1_000), _limits.hops, needs_restart=True),
        Key("mime_depth", values.integer(10, 1_000), _limits.mime_depth, needs_restart=True),
        Key("mime_parts", values.integer(100, 100_000), _limits.mime_parts, needs_restart=True),
        Key("free_space_bytes", values.size(0, 1 << 50), _limits.free_space_bytes, needs_restart=True),
    ),
    "doctor": (
        Key("blocklists", values.many(values.host_name()), (), needs_restart=True),
        Key("outward", values.many(values.host_name()), DoctorConfig().outward, needs_restart=True),
    ),
    "webhooks": (Key("allow_private", values.flag(), False, needs_restart=True),),
    "notices": (
        Key("enabled", values.flag(), True, needs_restart=True),
        Key("upgrade_url", values.web_address(), needs_restart=True),
        Key("templates", values.path(), needs_restart=True),
    ),
}  # fmt: skip

LOCATION = (
    Key("url", values.database_url(), REQUIRED, needs_restart=True),
    Key("blobs", values.blob_store(), needs_restart=True),
)
