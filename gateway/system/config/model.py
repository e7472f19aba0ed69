"""What a configuration says, as frozen values. Durations are seconds, sizes octets, paths absolute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.system.toml_lines import Problem


class ConfigError(Exception):
    """A configuration that cannot be used: `problems` has every mistake that was found, in file order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Endpoint(str):
    """An address to listen at or ask: `host:port`, `host` an IP address (IPv6 in brackets)."""

    __slots__ = ()

    @property
    def host(self) -> str:
        """The IP address, without brackets."""
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port, 1 to 65535."""
        return int(self.rpartition(":")[2])

    def above(self, offset: int) -> Endpoint:
        """The same address, `offset` ports higher."""
        return Endpoint(f"{self.rpartition(':')[0]}:{self.port + offset}")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the node listens, by protocol. `metrics`: of process 0; process n is n ports higher."""

    submission: tuple[Endpoint, ...] = ()
    submissions: tuple[Endpoint, ...] = ()
    inbound: tuple[Endpoint, ...] = ()
    imap: tuple[Endpoint, ...] = ()
    imaps: tuple[Endpoint, ...] = ()
    api: tuple[Endpoint, ...] = ()
    metrics: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The server's certificate chain and private key, PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ControlDatabase:
    """The control database; `migrate` is "auto" (`serve` upgrades an older schema) or "manual".

    `grace_seconds`: how long what is deleted can be had back.
    """

    url: str = field(repr=False)
    migrate: str = "auto"
    grace_seconds: float = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class LocationConfig:
    """One location: its database and its blob store (an absolute folder or `s3://bucket/prefix`)."""

    name: str
    url: str = field(repr=False)
    blobs: str


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """How mail leaves: the route of the platform's own shard, the port of `mx` peers, extra trusted CAs.

    `allowed_recipients`: addresses and domains, lower case, that non-production mail may really go to.
    `allow_private`: whether `mx` peers may have private and loopback addresses.
    """

    default_route: str = field(default="mx", repr=False)
    ca_file: Path | None = None
    port: int = 25
    allowed_recipients: tuple[str, ...] = ()
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """Name servers to ask; none: those of /etc/resolv.conf. The rest is of the watch over domains.

    `queries_per_second`: to one authoritative server; `in_flight`: questions that wait for an answer, in all;
    `authority_port`: where every authoritative server listens, another than 53 for tests. `allow_private`:
    whether domains may name servers of one's own network.
    """

    servers: tuple[Endpoint, ...] = ()
    queries_per_second: int = 20
    in_flight: int = 100
    authority_port: int = 53
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class PublishingConfig:
    """How names of the platform get into DNS: by updates of a name server, by a command, or by a person.

    `zones`: those of the server that may be written to; `tsig_secret_file` holds the key in base64, as
    `tsig-keygen` and `keymgr` print it. `ttl_seconds`: of all records. `timeout_seconds`: for the command.
    `dmarc_reports` and `tls_reports`: addresses for reports, None: dmarc@ and tls-reports@ the host name.
    """

    server: Endpoint | None = None
    zones: tuple[str, ...] = ()
    tsig_name: str | None = None
    tsig_algorithm: str = "hmac-sha256"
    tsig_secret_file: Path | None = None
    command: Path | None = None
    timeout_seconds: float = 60.0
    ttl_seconds: float = 300.0
    dmarc_reports: str | None = None
    tls_reports: str | None = None

    @property
    def is_automatic(self) -> bool:
        """Whether anything but a person publishes."""
        return self.server is not None or self.command is not None


@dataclass(frozen=True, slots=True)
class DkimConfig:
    """How long a key signs before the next takes its place, in seconds; 0: until somebody rotates it."""

    rotate_seconds: float = 90 * 86_400.0


@dataclass(frozen=True, slots=True)
class DomainsConfig:
    """The watch over custom domains.

    `claim_seconds`: how long a claim without proof lasts; `claims`: how many domains of a tenant may wait for
    theirs. From the loss of a record it takes `grace_seconds` until a domain is degraded, `suspend_seconds`
    until it sends no more, `release_seconds` until its name is free. Looks at something new follow each
    other after `first_seconds`, then twice as long each time, up to `longest_seconds`.
    """

    claim_seconds: float = 14 * 86_400.0
    claims: int = 100
    grace_seconds: float = 86_400.0
    suspend_seconds: float = 30 * 86_400.0
    release_seconds: float = 60 * 86_400.0
    first_seconds: float = 60.0
    longest_seconds: float = 3_600.0


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """The API: its Unix socket (None: `run/api.sock` in the state folder), and each key's rate over TCP.

    `url`: where others reach it, for links to pages; None: worked out from [listen] api.
    """

    socket: Path | None = None
    url: str | None = None
    requests_per_second: int = 100
    burst: int = 500


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """How logins are checked."""

    tries_per_connection: int = 5
    hashing_threads: int = 2
    guess_records: int = 65_536


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What one SMTP session, message and process may take: SECURITY's table of default limits."""

    connections_per_address: int = 50
    connections_per_process: int = 5_000
    auth_seconds: float = 30.0
    idle_seconds: float = 300.0
    command_seconds: float = 30.0
    drain_seconds: float = 30.0
    data_bytes_per_second: int = 500
    errors_per_connection: int = 20
    commands_per_connection: int = 100_000
    junk_commands_per_connection: int = 100
    recipients_per_message: int = 1_000
    message_bytes: int = 25 * 1024 * 1024
    header_bytes: int = 100 * 1024
    header_fields: int = 1_000
    hops: int = 50
    mime_depth: int = 100
    mime_parts: int = 1_000
    free_space_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DoctorConfig:
    """What `gatepost doctor` asks of others: lists about our addresses, and domains whose MX it tries."""

    blocklists: tuple[str, ...] = ()
    outward: tuple[str, ...] = ("gmail.com", "outlook.com")


@dataclass(frozen=True, slots=True)
class WebhooksConfig:
    """Where events may be sent. `allow_private`: also to private and loopback addresses, and without TLS."""

    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class NoticesConfig:
    """Mail to tenants' contacts: whether any is sent, where to upgrade, whose templates go before ours."""

    enabled: bool = True
    upgrade_url: str | None = None
    templates: Path | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration of a node."""

    path: Path | None
    hostname: str
    node: str
    state_dir: Path
    workers: int
    roles: frozenset[str]
    user: str | None
    log_level: str
    listen: Listen
    tls: TlsFiles | None
    control: ControlDatabase
    locations: Mapping[str, LocationConfig]
    master_key_file: Path
    trial_zone: str
    relay: RelayConfig
    dns: DnsConfig
    api: ApiConfig
    auth: AuthConfig
    limits: LimitsConfig
    webhooks: WebhooksConfig = WebhooksConfig()
    notices: NoticesConfig = NoticesConfig()
    publishing: PublishingConfig = PublishingConfig()
    dkim: DkimConfig = DkimConfig()
    doctor: DoctorConfig = DoctorConfig()
    domains: DomainsConfig = DomainsConfig()
    trial_selectors: int = 0
    """DKIM keys that wait under the trial zone, published once; 0: each trial domain has names of its own."""
    trial_days: int = 30
    """How long a tenant may stay on the plan `trial`; 0: for ever."""

    @property
    def api_socket(self) -> Path:
        """Where the API listens for users of this machine."""
        return self.api.socket or self.state_dir / "run" / "api.sock"

    @property
    def default_location(self) -> str:
        """The location of what names none: the one called `default`, else the first."""
        return "default" if "default" in self.locations else next(iter(self.locations))
