"""Lists of domains, top-level domains and addresses that rules name."""
