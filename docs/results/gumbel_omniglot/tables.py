"""The tables of docs/results/gumbel_omniglot.md, from the CSV files beside this script.

    python docs/results/gumbel_omniglot/tables.py                               # prints them
    python docs/results/gumbel_omniglot/tables.py SUITE CLEAN PUBLISHED          # first writes two of the files

Given are the directories of the suite, of which course.csv is made, and of the trainings on both selections of
drawings, of which selection.csv is.

The unit is a seed: its mean accuracy over the alphabets. Intervals are Student's t over seeds, 90 % and 95 %.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix.result import ROUTING
from munet.suites.paired import t_interval
from munet.text import markdown_table

HERE = Path(__file__).parent
METHODS = ("shared", "gumbel")
SELECTIONS = ("clean", "published")
ROUNDS = ("100", "200", "300", "400")
COURSE = ("method", "seed", "round", "training_loss", "validation_loss", "validation_accuracy")
COUNTS = ("test_correct", "test_counted", "validation_correct", "validation_counted")

Lines = list[dict[str, str]]
Seeds = Float[np.ndarray, " seeds"]


def lines_of(name: str) -> Lines:
    """The lines of a file beside this script."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(name: str, head: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Writes a file beside this script."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *lines])


def write_course(suite: str) -> None:
    """Losses and accuracies of both methods by seed and round."""
    rows: list[tuple[object, ...]] = []
    for method in METHODS:
        for point in Workdir(f"{suite}/runs/{method}/seeds_0-2", ROUTING).curve():
            accuracy = np.mean([quality.value for quality in point.validation.values()])
            losses = f"{point.training_loss:.4f}", f"{point.validation_loss:.4f}"
            rows.append((method, point.replica, point.step, *losses, f"{accuracy:.4f}"))
    write("course.csv", COURSE, rows)


def write_selection(places: Sequence[str]) -> None:
    """Counts of both selections of drawings by seed and alphabet."""
    rows: list[tuple[object, ...]] = []
    for selection, place in zip(SELECTIONS, places, strict=True):
        result = Workdir(place, ROUTING).result()
        if result is None:
            raise SystemExit(f"{place} is not complete.")
        for replica in result.replicas:
            for task, found in replica.tasks.items():
                counts = [n for one in (found.test, found.validation) if one for n in (one.correct, one.counted)]
                rows.append((selection, replica.seed, task.partition("/")[2], *counts))
    write("selection.csv", ("selection", "seed", "task", *COUNTS), rows)


def by_seed(lines: Lines, value: str, by: str = "") -> Seeds:
    """Mean over the lines of each seed, in percent: of a share, or of counts `value`_correct of `value`_counted."""
    found: dict[str, list[float]] = {}
    for line in lines:
        share = float(line[value]) if not by else int(line[f"{value}_correct"]) / int(line[by])
        found.setdefault(line["seed"], []).append(100 * share)
    return np.array([np.mean(own) for _, own in sorted(found.items())])


def told(values: Seeds) -> tuple[str, str]:
    """Every seed, and the mean with its intervals."""
    (low, high), (least, most) = t_interval(values, 0.9), t_interval(values)
    mean = f"{values.mean():.2f} ({low:.2f} to {high:.2f}; 95 %: {least:.2f} to {most:.2f})"
    return ", ".join(f"{value:.2f}" for value in values), mean


def main(given: Sequence[str]) -> None:
    """Prints the tables, and keeps what is given."""
    if given:
        write_course(given[0])
        write_selection(given[1:])
    tasks, course, selection = (lines_of(f"{name}.csv") for name in ("results_tasks", "course", "selection"))
    tests = {one: by_seed([line for line in tasks if line["method"] == one], "test_accuracy") for one in METHODS}
    body = [(one, *told(values)) for one, values in tests.items()]
    body.append(("gumbel minus shared", *told(tests["gumbel"] - tests["shared"])))
    of = {
        one: by_seed([line for line in selection if line["selection"] == one], "test", "test_counted")
        for one in SELECTIONS
    }
    body += [(one, *told(values)) for one, values in of.items()]
    body.append(("published minus clean", *told(of["published"] - of["clean"])))
    for one in SELECTIONS:
        own = [line for line in selection if line["selection"] == one]
        body.append((f"{one}, validation", *told(by_seed(own, "validation", "validation_counted"))))
    print(markdown_table(("what", "test accuracy %, by seed", "mean (90 % interval)"), body))
    rows = []
    for step in ROUNDS:
        looks = {one: [line for line in course if (line["method"], line["round"]) == (one, step)] for one in METHODS}
        right = [float(by_seed(looks[one], "validation_accuracy").mean()) for one in METHODS]
        losses = [float(np.mean([float(line["training_loss"]) for line in looks[one]])) for one in METHODS]
        rows.append((step, *(f"{one:.1f}" for one in (*right, right[1] - right[0])), *(f"{one:.2f}" for one in losses)))
    print()
    print(markdown_table(("round", *METHODS, "difference", *(f"loss, {one}" for one in METHODS)), rows))


if __name__ == "__main__":
    main(sys.argv[1:])
