"""Limits raised for a time."""
