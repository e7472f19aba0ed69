"""`make chaos`: 50 kills over 20 000 acknowledged messages; exit status 1 if one was lost or damaged."""

import sys
import tempfile
from pathlib import Path

from tests.support.chaos import Chaos

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        result = Chaos(Path(folder), messages=20_000, kills=50, seed=1).run()
    print(result)
    bad = result.lost or result.damaged or result.duplicates > result.possible_duplicates
    sys.exit(1 if bad or result.unlogged_duplicates else 0)
