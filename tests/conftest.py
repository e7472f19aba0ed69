"""What every test may use: real databases and the peers that are installed."""

from hypothesis import HealthCheck, settings

# Properties are about what is true, not about how busy the machine is.
settings.register_profile("gatepost", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gatepost")

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
