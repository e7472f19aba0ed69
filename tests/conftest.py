"""What every test may use: real databases and the peers that are installed."""

import structlog
from hypothesis import HealthCheck, settings

# Properties are about what is true, not about how busy the machine is.
settings.register_profile("gatepost", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gatepost")

# Without the values of all variables, which take many seconds to print where a traceback is long.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

pytest_plugins = [
    "tests.support.control",
    "tests.support.databases",
    "tests.support.installation",
    "tests.support.peers",
    "tests.support.api",
    "tests.support.browser",
    "tests.support.cli",
    "tests.support.nameservers",
]
