"""The composition root: builds the parts, starts the processes, gives the command line its tools.

The only place that knows all the others.
"""

from __future__ import annotations

from gateway.app.main import main

__all__ = ["main"]
