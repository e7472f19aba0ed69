"""The watch over domains, measured: `python -m tests.bench.domains.run`."""
