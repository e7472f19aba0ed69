"""Source addresses: what the platform sends from."""
