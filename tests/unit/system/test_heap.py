"""What a process has used once for large blocks it gives back."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from gateway.system.heap import return_large_blocks

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if sys.argv[1] == "yes":
    assert return_large_blocks()
for _ in range(2):
    before = resident()
    small, large = [], []
    for _ in range(40):
        large.append(b"x" * 1_000_000)
        small.append(bytearray(b"y" * 100_000))  # keeps the heap from shrinking from its end
    del large
print(resident() - before)
"""


def grown(called: str) -> int:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, called], capture_output=True, text=True, check=True
    )
    return int(result.stdout)


def test_large_blocks_go_back_to_the_system() -> None:
    assert grown("yes") < 12_000_000
    assert grown("no") > 30_000_000, "glibc gives them back by itself now: the module can go"
