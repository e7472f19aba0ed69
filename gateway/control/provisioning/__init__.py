"""A customer onboarded with one request: tenant, domain, key, shard, account and app password."""
