"""Files of the page, from the directories of its suites: `python docs/results/muir_cross_modal/files.py DIR [DIR ...]`.

Writes `validation.csv` (after every generation, task by task) and `modules.csv` (how many modules each set of tasks
uses that no other task uses). Methods that several directories have are read from the first; `NAME=DIR` calls those of
a directory `NAME/METHOD`.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from munet.suites import alignments

HERE = Path(__file__).parent
_METRICS = {"fashion_mnist": "accuracy", "text/python": "bits a byte", "dna": "MSE"}
_NATS_TO_BITS = 1.4426950408889634


def validation(method: str, run: Path) -> Iterator[tuple[object, ...]]:
    """Method, seed, round, task, metric, what was measured, and both losses."""
    for line in map(json.loads, (run / "curve.jsonl").read_text(encoding="utf-8").splitlines()):
        for task, loss in line["validation_losses"].items():
            found = line["validation"].get(task)
            measured = found["correct"] / found["counted"] if found else loss
            measured = measured * _NATS_TO_BITS if _METRICS[task] == "bits a byte" else measured
            training = line["training_losses"][task]
            seed, rounds = line["replica"], line["step"]
            yield method, seed, rounds, task, _METRICS[task], f"{measured:.6g}", f"{loss:.6g}", f"{training:.6g}"


def modules(method: str, run: Path) -> Iterator[tuple[object, ...]]:
    """Method, seed, generation, tasks, modules that these and no other tasks use."""
    for search in alignments.searches(str(run)):
        for number, shared in enumerate(search.shared, search.begins):
            for key, count in shared.items():
                yield method, search.seed, number, " + ".join(search.tasks[int(one)] for one in key.split("+")), count


def write(name: str, header: str, rows: Iterable[tuple[object, ...]]) -> None:
    """A CSV file beside this one."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(header.split())
        lines.writerows(rows)


def main(suites: list[str]) -> None:
    """Both files, of all methods of these directories."""
    runs: dict[str, Path] = {}
    for suite in suites:
        name, _, place = suite.rpartition("=")
        for run in sorted(Path(place, "runs").glob("*/seeds_*")):
            runs.setdefault(f"{name}/{run.parent.name}" if name else run.parent.name, run)
    names = "method seed round task metric validation validation_loss training_loss"
    write("validation.csv", names, (row for name, run in runs.items() for row in validation(name, run)))
    names = "method seed generation tasks modules"
    write("modules.csv", names, (row for name, run in runs.items() for row in modules(name, run)))


if __name__ == "__main__":
    main(sys.argv[1:])
