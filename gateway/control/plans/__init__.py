"""Plans: tiers that bound what tenants may have."""
