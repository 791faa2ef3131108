"""Feeds the readers of stored and foreign files with altered ones, and says what did not end as it should.

    python -m tests.fuzz --executions=1000000 [--only=journal,images] [--first=0]

Execution N of a target follows from N alone: `--only=journal --first=N --executions=1` does it again. A failure is a
crash, more than 5 seconds, more than 1 GiB of memory, or an exception that is not one of munet's. The readers run in a
process of their own, which is begun again behind a crash.
"""

from __future__ import annotations

import argparse
import sys

from tests.fuzz import running
from tests.fuzz.targets import TARGETS


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--executions", type=int, default=1000)
    parser.add_argument("--only", default=",".join(TARGETS))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--done", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.only.split(",")
    if unknown := set(names) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}: {', '.join(TARGETS)}")
    if given.worker:
        numbers = range(given.first, given.first + given.executions)
        running.work(names, numbers, given.done, given.worker)
        return 0
    return 1 if running.run(names, given.first, given.executions) else 0


if __name__ == "__main__":
    sys.exit(main())
