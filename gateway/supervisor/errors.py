"""Why a node does not start."""

from __future__ import annotations


class StartError(Exception):
    """The node cannot start: `detail` says what is wrong with which thing, `fix` what to do."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(f"{detail}; {fix}")
        self.detail = detail
        self.fix = fix
