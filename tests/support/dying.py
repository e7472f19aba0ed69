"""`gatepost`, of which the control process is killed once, beside the commit of a new account.

    python -m tests.support.dying FOLDER serve --config FILE

A file `before` or `after` in FOLDER asks for it, and is gone when it happened: the kernel's SIGKILL, in the
last moment before the commit or in the first one after it, when the reply is not written yet.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from gateway.app import main
from gateway.control.installation.model import HeadRow
from gateway.control.transaction import ControlChange, ControlWrites

_finish, _after_commit = ControlWrites._finish, ControlWrites._after_commit


def _die(asked: Path) -> None:
    if asked.exists():
        asked.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def _install(folder: Path) -> None:
    # Another thread's change may end in between.
    of_this_thread = threading.local()

    def finish(self: ControlWrites, change: ControlChange, head: HeadRow) -> int:
        of_this_thread.makes_account = any(one.operation == "account.create" for one in change.entries)
        revision = _finish(self, change, head)
        change.session.flush()
        if of_this_thread.makes_account:
            _die(folder / "before")
        return revision

    def after_commit(self: ControlWrites, revision: int) -> None:
        if of_this_thread.makes_account:
            _die(folder / "after")
        _after_commit(self, revision)

    ControlWrites._finish, ControlWrites._after_commit = finish, after_commit  # type: ignore[method-assign]


if __name__ == "__main__":
    _install(Path(sys.argv.pop(1)))
    main()
