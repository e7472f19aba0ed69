"""What the control plane's services need to know of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """`hostname` and `trial_zone` in lower-case A-labels; `default_route` a URL, maybe with credentials.

    `may_leave`: whether the operator lists recipients that non-production mail may reach.
    `private_webhooks`: whether webhooks may name addresses of the platform's own network.
    `grace_seconds`: how long what is deleted can be had back. `publishes`: whether a server or a command
    takes names of the platform, so that keys of customers may be aliases into its zones.
    `trial_selectors`: how many keys wait under the trial zone for trial domains; 0: each makes its own.
    `addresses`: those at which others reach the host, where the configuration names them.
    `record_ttl`: seconds, of what is published.
    `claims`: how many custom domains a tenant may have that are not active yet.
    `dmarc_reports`, `tls_reports`: where reports go, "" for dmarc@ and tls-reports@ the host name.
    """

    hostname: str
    trial_zone: str
    default_route: str = field(default="mx", repr=False)
    locations: frozenset[str] = frozenset({"default"})
    default_location: str = "default"
    may_leave: bool = False
    private_webhooks: bool = False
    grace_seconds: float = 7 * 86_400.0
    publishes: bool = False
    trial_selectors: int = 0
    dmarc_reports: str = ""
    tls_reports: str = ""
    record_ttl: float = 300.0
    addresses: tuple[str, ...] = ()
    claims: int = 100

    @property
    def dmarc_address(self) -> str:
        """Where aggregate reports of DMARC go."""
        return self.dmarc_reports or f"dmarc@{self.hostname}"

    @property
    def tls_address(self) -> str:
        """Where reports of TLS failures go."""
        return self.tls_reports or f"tls-reports@{self.hostname}"

    @property
    def policy_host(self) -> str:
        """The host that serves MTA-STS policies."""
        return f"mta-sts.{self.hostname}"
