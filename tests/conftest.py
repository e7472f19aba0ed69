"""What every test may use: real databases and the peers that are installed."""

pytest_plugins = [
    "tests.support.control",
    "tests.support.databases",
    "tests.support.installation",
    "tests.support.peers",
    "tests.support.api",
    "tests.support.nameservers",
]
