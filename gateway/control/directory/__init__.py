"""What the data plane knows of the control plane: in memory, following the change log."""

from gateway.control.directory.directory import Directory
from gateway.control.directory.model import RELOADED, Change, Refused, RefusedReason, login_name

__all__ = ["RELOADED", "Change", "Directory", "Refused", "RefusedReason", "login_name"]
