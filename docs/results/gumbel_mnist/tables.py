"""The tables of docs/results/gumbel_mnist.md, from results_tasks.csv beside this file.

    python docs/results/gumbel_mnist/tables.py                  # prints them
    python docs/results/gumbel_mnist/tables.py METHOD=DIR ...   # first adds complete trainings of further seeds
    python docs/results/gumbel_mnist/tables.py ten METHOD=DIR ...      # the same of ten_epochs.csv, one seed each

The unit is a seed: its mean accuracy over the four tasks. Intervals are Student's t over seeds, 90 % as in the paper.
"""

from __future__ import annotations

import csv
import io
import itertools
import sys
from pathlib import Path

import numpy as np

from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix.result import ROUTING
from munet.suites import routing_report, routing_rows
from munet.suites.paired import t_interval
from munet.text import markdown_table

FILE, TEN_EPOCHS = (Path(__file__).parent / name for name in ("results_tasks.csv", "ten_epochs.csv"))
METHODS = {
    "none": "No sharing",
    "shared": "Shared bottom (mean)",
    "shared_sum": "Shared bottom (sum)",
    "gumbel": "Gumbel-Matrix",
    "budget": "Gumbel-Matrix, budget 0.75",
}
PAIRS = (
    ("none", "shared"),
    ("shared_sum", "shared"),
    ("gumbel", "shared"),
    ("gumbel", "shared_sum"),
    ("budget", "shared"),
    ("budget", "gumbel"),
)

Lines = list[dict[str, str]]


def add(lines: Lines, method: str, workdir: str) -> None:
    """Adds the seeds of a complete training that are not there."""
    found = routing_report.read(Workdir(workdir, ROUTING), METHODS[method], "")
    if found is None:
        raise SystemExit(f"{workdir} is not complete.")
    known = {(line["method"], line["seed"]) for line in lines}
    new = csv.DictReader(io.StringIO(routing_rows.csv({method: found})))
    lines += [line for line in new if (method, line["seed"]) not in known]


def seeds_of(lines: Lines, method: str) -> dict[int, Lines]:
    """The lines of a method, by seed."""
    found: dict[int, Lines] = {}
    for line in lines:
        if line["method"] == method:
            found.setdefault(int(line["seed"]), []).append(line)
    return dict(sorted(found.items()))


def accuracies(lines: Lines, method: str) -> dict[int, float]:
    """Mean test accuracy over the tasks, in percent, by seed."""
    seeds = seeds_of(lines, method).items()
    return {seed: float(np.mean([100 * float(line["test_accuracy"]) for line in own])) for seed, own in seeds}


def table(lines: Lines) -> str:
    """Every method's mean over seeds."""
    body = []
    for method, title in METHODS.items():
        values = np.array(list(accuracies(lines, method).values()))
        low, high = t_interval(values, 0.9)
        own = [line for line in lines if line["method"] == method]
        used, expected = (
            sum(float(line[name]) for line in own) / sum(float(line["connections"]) for line in own)
            for name in ("used", "expected")
        )
        rows = np.mean([int(seed[0]["distinct_rows"]) for seed in seeds_of(lines, method).values()])
        interval = f"{values.mean():.2f} ({low:.2f} to {high:.2f})"
        numbers = (str(len(values)), interval, f"{values.std(ddof=1):.2f}", f"{used:.1%}", f"{expected:.1%}")
        body.append((title, *numbers, f"{rows:.3g} of 4"))
    head = ("method", "seeds", "test accuracy %, mean (90 % interval)", "deviation")
    return markdown_table((*head, "connections used", "expected", "different rows"), body)


def pairs(lines: Lines) -> list[str]:
    """Differences seed by seed."""
    found = []
    for first, second in PAIRS:
        ours, theirs = accuracies(lines, first), accuracies(lines, second)
        values = np.array([ours[seed] - theirs[seed] for seed in ours if seed in theirs])
        low, high = t_interval(values, 0.9)
        wider = t_interval(values)
        found.append(
            f"- {METHODS[first]} minus {METHODS[second]}: {values.mean():+.2f} points "
            f"({low:+.2f} to {high:+.2f}; 95 %: {wider[0]:+.2f} to {wider[1]:+.2f})"
        )
    return found


def equal_rows(lines: Lines, method: str) -> list[str]:
    """In how many seeds two tasks use the same components."""
    seeds = seeds_of(lines, method)
    tasks = [line["task"] for line in next(iter(seeds.values()))]
    found = []
    for one, other in itertools.combinations(range(len(tasks)), 2):
        equal = sum(own[one]["rows"] == own[other]["rows"] for own in seeds.values())
        found.append(f"- {tasks[one]} and {tasks[other]}: {equal} of {len(seeds)}")
    return found


def main(given: list[str]) -> None:
    """Prints the tables, and keeps what is added."""
    is_ten = given[:1] == ["ten"]
    path, given = (TEN_EPOCHS, given[1:]) if is_ten else (FILE, given)
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    for one in given:
        add(lines, *one.split("=", 1))
    if given:
        lines.sort(key=lambda line: (list(METHODS).index(line["method"]), int(line["seed"])))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
    if is_ten:
        for method, title in METHODS.items():
            for seed, mean in accuracies(lines, method).items():
                own = [line for line in lines if line["method"] == method]
                used = sum(int(line["used"]) for line in own) / sum(int(line["connections"]) for line in own)
                print(f"- {title}, seed {seed}: {mean:.2f} %, {used:.1%} of the connections")
        return
    print(table(lines), *pairs(lines), sep="\n")
    for method in ("gumbel", "budget"):
        print("", METHODS[method], *equal_rows(lines, method), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
