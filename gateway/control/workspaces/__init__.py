"""Workspaces: policy containers that accounts are in."""
