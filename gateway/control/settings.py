"""What the control plane's services need to know of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """`hostname` and `trial_zone` in lower-case A-labels; `default_route` a URL, maybe with credentials.

    `may_leave`: whether the operator lists recipients that non-production mail may reach.
    `private_webhooks`: whether webhooks may name addresses of the platform's own network.
    `grace_seconds`: how long what is deleted can be had back.
    """

    hostname: str
    trial_zone: str
    default_route: str = field(default="mx", repr=False)
    locations: frozenset[str] = frozenset({"default"})
    default_location: str = "default"
    may_leave: bool = False
    private_webhooks: bool = False
    grace_seconds: float = 7 * 86_400.0
