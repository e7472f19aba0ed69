"""Faces: people and programs drive the control plane here. No rules, no SQL."""
