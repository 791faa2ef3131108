"""Files of the page, from the directories of its suites: `python docs/results/muir_cross_modal/files.py DIR [DIR ...]`.

Writes `validation.csv` (after every generation, task by task), `modules.csv` (how many modules each set of tasks
uses that no other task uses), and of `all` alone `generic.csv` (Table 4's contrasts) and `mappings.csv` (the module of
every block at the end). Methods that several directories have are read from the first; `NAME=DIR` calls those of a
directory `NAME/METHOD`.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from munet.suites import alignments

HERE = Path(__file__).parent
_METRICS = {"cifar10_subset": "accuracy", "fashion_mnist": "accuracy", "text/python": "bits a byte", "dna": "MSE"}
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


def generic(run: Path) -> Iterator[tuple[object, ...]]:
    """Seed by seed, how many modules and blocks are generic and specific, and each contrast of these."""
    for search in alignments.searches(str(run)):
        if search.generic is not None:
            counts = *search.generic.modules, *search.generic.blocks
            for one in search.generic.contrasts:
                numbers = (f"{value:.6g}" for value in (one.generic, one.specific, one.p, one.effect))
                yield search.seed, *counts, one.of, one.statistic, *numbers


def mappings(run: Path) -> Iterator[tuple[object, ...]]:
    """The layer of every block, and its module in each seed."""
    searches = alignments.searches(str(run))
    yield "layer", *(f"seed_{search.seed}" for search in searches)
    for at, layer in enumerate(searches[0].layer_of):
        yield searches[0].layers[layer], *(int(search.last[at]) for search in searches)


def write(name: str, header: str, rows: Iterable[tuple[object, ...]]) -> None:
    """A CSV file beside this one."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(header.split())
        lines.writerows(rows)


def main(suites: list[str]) -> None:
    """All files, of all methods of these directories."""
    runs: dict[str, Path] = {}
    for suite in suites:
        name, _, place = suite.rpartition("=")
        for run in sorted(Path(place, "runs").glob("*/seeds_*")):
            runs.setdefault(f"{name}/{run.parent.name}" if name else run.parent.name, run)
    names = "method seed round task metric validation validation_loss training_loss"
    write("validation.csv", names, (row for name, run in runs.items() for row in validation(name, run)))
    names = "method seed generation tasks modules"
    write("modules.csv", names, (row for name, run in runs.items() for row in modules(name, run)))
    names = (
        "seed generic_modules specific_modules generic_blocks specific_blocks of statistic generic specific p effect"
    )
    write("generic.csv", names, generic(runs["all"]))
    head, *body = mappings(runs["all"])
    write("mappings.csv", " ".join(map(str, head)), body)


if __name__ == "__main__":
    main(sys.argv[1:])
