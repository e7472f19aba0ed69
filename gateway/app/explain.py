"""`policy explain`: the whole decision for a message that is not sent."""

from __future__ import annotations


def explain(*_: object, **__: object) -> object:
    raise NotImplementedError
