"""The configuration of one node: one TOML file, overrides from the environment, every mistake at once."""

from gateway.system.config.loading import DEFAULT_PATH, load
from gateway.system.config.model import (
    ApiConfig,
    AuthConfig,
    Config,
    ConfigError,
    ControlDatabase,
    DkimConfig,
    DnsConfig,
    Endpoint,
    LimitsConfig,
    Listen,
    LocationConfig,
    NoticesConfig,
    PublishingConfig,
    RelayConfig,
    TlsFiles,
    WebhooksConfig,
)
from gateway.system.config.reloading import merged
from gateway.system.config.values import parse_duration, parse_size
from gateway.system.toml_lines import Problem

__all__ = [
    "DEFAULT_PATH",
    "ApiConfig",
    "AuthConfig",
    "Config",
    "ConfigError",
    "ControlDatabase",
    "DkimConfig",
    "DnsConfig",
    "Endpoint",
    "LimitsConfig",
    "Listen",
    "LocationConfig",
    "NoticesConfig",
    "Problem",
    "PublishingConfig",
    "RelayConfig",
    "TlsFiles",
    "WebhooksConfig",
    "load",
    "merged",
    "parse_duration",
    "parse_size",
]
