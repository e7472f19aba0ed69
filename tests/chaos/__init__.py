"""The large chaos run behind `make chaos`."""
