"""The entry of the program `gatepost`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.faces.cli.command import spoken_errors
from gateway.faces.cli.desk import Opened, Program
from gateway.faces.cli.program import build

if TYPE_CHECKING:
    from gateway.system.config import Config


def main() -> None:
    """Run the command line."""
    program = Program(
        open=_open,
        serve=_serve,
        quickstart=_quickstart,
        check=_check,
        upgrade=_upgrade,
        app=_app,
    )
    build(program)(prog_name="gatepost")


# Each of these loads only what it needs: a command starts sooner, and who serves forks from less memory.


def _open(config: Config) -> Opened:
    from gateway.app.desk import OpenedDesk
    from gateway.system.log import configure

    configure(level="warning", process="cli")
    return OpenedDesk(config)


def _upgrade(config: Config) -> list[dict[str, Any]]:
    from gateway.app.upgrading import upgrade_all
    from gateway.system.log import configure

    configure(level="warning", process="cli")
    return upgrade_all(config)


def _app(installation: Opened) -> Any:
    from gateway.app.api import local_app
    from gateway.app.desk import OpenedDesk

    assert isinstance(installation, OpenedDesk)
    return local_app(installation)


def _serve(path: Path) -> int:
    from gateway.app.serve import serve

    return serve(path)


def _quickstart(folder: Path, port_base: int, setup_only: bool) -> int:
    from gateway.app.demo import quickstart
    from gateway.system.log import configure

    configure(level="warning", process="cli")
    with spoken_errors():
        return quickstart(folder, port_base, setup_only, _say)


def _check(path: Path) -> int:
    from gateway.system.config.check import check_config

    report: Any = check_config(path, os.environ)
    out = sys.stderr if report.problems else sys.stdout
    out.write("".join(f"{line}\n" for line in report.lines()))
    return 2 if report.problems else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
