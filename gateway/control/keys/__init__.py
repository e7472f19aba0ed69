"""DKIM keys."""
