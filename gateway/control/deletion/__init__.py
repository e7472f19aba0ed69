"""Deleting with a time of grace, and what is left of things after it."""
