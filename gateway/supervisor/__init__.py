"""`gatepost serve` as one process that owns the ports and the children, and knows nothing of mail."""

from gateway.supervisor.child import ChildContext, ProcessKind
from gateway.supervisor.errors import StartError
from gateway.supervisor.supervisor import Supervisor

__all__ = ["ChildContext", "ProcessKind", "StartError", "Supervisor"]
