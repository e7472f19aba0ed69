"""Replaying accepted mail against a changed policy: what would have been refused or held. Changes nothing."""

from gateway.outgoing.simulation.judge import World
from gateway.outgoing.simulation.simulation import simulate
from gateway.outgoing.simulation.values import AccountTotal, Difference, RuleTotal, Simulation

__all__ = ["AccountTotal", "Difference", "RuleTotal", "Simulation", "World", "simulate"]
