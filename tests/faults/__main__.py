"""Injects errors into every operation of the store, and prints what came of them.

    python -m tests.faults [--few] [--only="append,read entries"]

Ends with 1 where anything else came of an error than the same result or a message that names it.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.faults import injection
from tests.faults.operations import OPERATIONS


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--few", action="store_true", help="three errors instead of all")
    parser.add_argument("--only", default=",".join(OPERATIONS))
    given = parser.parse_args()
    logging.disable()  # the cache says of each injected error that it goes on without
    errnos = injection.FEW_ERRNOS if given.few else injection.ERRNOS
    faults: list[str] = []
    total = 0
    for name in given.only.split(","):
        with tempfile.TemporaryDirectory() as place:
            outcomes = injection.inject(Path(place), errnos, [name])
        print(f"{name:26} {outcomes}", flush=True)
        faults += outcomes.faults
        total += outcomes.counts.total()
    print("\n".join([*faults, f"{total:,} injections, {len(faults)} faults"]))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
