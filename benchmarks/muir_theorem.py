"""Theorem 3.2 simulated: how many generations the alignment search needs where every true improvement is accepted.

    python -m benchmarks.muir_theorem [--runs=50] [--largest=16384]

Prints one JSON line. Every location begins with a module of its own and should come to use the module of location 0;
each generation it gets one challenger, drawn by usage with the search's own code (`munet/methods/muir/alignment.py`),
and takes it if it is the right one. The theorem says O(log L); its recurrence ends after more than log2(L ln L)
generations.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics

import numpy as np

from munet.methods.muir.alignment import Search, ask


def generations(length: int, run: int) -> int:
    """Generations until all of so many locations use the right module."""
    search = Search(length, challengers=1, share=1.0, new=0.0)
    mapping, lasted = np.arange(length, dtype=np.int32), 0
    while (mapping != 0).any():
        challenger = ask(mapping, search, ("theorem", length, run, lasted)).candidates[1]
        mapping, lasted = np.where(challenger == 0, challenger, mapping).astype(np.int32), lasted + 1
    return lasted


def main() -> None:
    """Simulates all sizes up to the largest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--largest", type=int, default=16_384)
    given = parser.parse_args()
    rows, length = [], 16
    while length <= given.largest:
        lasted = [generations(length, run) for run in range(given.runs)]
        rows.append(
            {
                "locations": length,
                "mean": statistics.fmean(lasted),
                "std": statistics.stdev(lasted) if len(lasted) > 1 else 0.0,
                "recurrence": math.log2(length * math.log(length)),
            }
        )
        length *= 4
    print(json.dumps({"runs": given.runs, "rows": rows}))


if __name__ == "__main__":
    main()
