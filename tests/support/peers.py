"""Peers that are system packages: used where found, demanded under GATEPOST_REQUIRE_PEERS=1."""
