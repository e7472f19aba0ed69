"""Events: what happened to accounts, domains, messages, quotas, as others may follow it."""
