"""How the C library's heap gives memory back: what a process used once for large messages it returns."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # mallopt(3)
_MMAP_OCTETS = 256 * 1024
_TRIM_OCTETS = 512 * 1024
_ARENAS = 2


def return_large_blocks() -> bool:
    """Take blocks over 256 KiB from the system and give them back when they are freed; two arenas at most.

    Without it glibc raises the threshold to the largest block it has freed (up to 32 MiB), and a worker that
    has carried a few messages of 1 MiB keeps 50 MB more for ever. False where the C library is another one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    wanted = ((_MMAP_THRESHOLD, _MMAP_OCTETS), (_TRIM_THRESHOLD, _TRIM_OCTETS), (_ARENA_MAX, _ARENAS))
    answers = [mallopt(name, value) for name, value in wanted]
    return answers == [1, 1, 1]
