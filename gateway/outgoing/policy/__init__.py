"""Deciding about outgoing mail: pure. Facts and an effective policy in, a decision with its reason out."""
