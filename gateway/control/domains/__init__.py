"""Domains: proved and trial ones."""
