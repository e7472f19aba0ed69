"""Accounts: mail identities."""
