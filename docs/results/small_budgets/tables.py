"""The tables and the figure of docs/results/small_budgets.md, from the counts in results.csv beside this file.

    python docs/results/small_budgets/tables.py                           # prints the tables, draws figure_3.svg
    python docs/results/small_budgets/tables.py NAME=runs/suite-... ...    # first takes the runs of suites up as NAME

Differences are paired by seed and task; their intervals are Student's t over seeds (95 %).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from munet.intervals import Interval
from munet.report.charts import tradeoff
from munet.report.charts.chart import Chart
from munet.report.charts.tradeoff import Curve, Point
from munet.suites import results
from munet.suites.paired import t_interval
from munet.text import markdown_table

HERE = Path(__file__).parent
FIELDS = (
    "suite", "method", "seed", "task", "validation_correct", "validation_counted", "test_correct", "test_counted",
    "params", "params_per_task", "run_image_steps",
)  # fmt: skip
# What each table shows: suite and method of each row, and the method that the others are compared with.
TABLES = {
    "The sets that were looked at": ("choice/race", "choice/tuned", "choice/full"),
    "Sets that had no part in any choice": ("held_out/race", "held_out/tuned", "held_out/full"),
    "Folders": ("folders/race", "folders/tuned"),
    "Four times the images": ("large/race", "large/tuned", "large/full"),
    "Four times the images, sets that had no part": (
        "large_held_out/race", "large_held_out/tuned", "large_held_out/full",
    ),
    "Four times the images, folders": (
        "large_folders/race", "large_folders/whole", "large_folders/ties", "large_folders/tuned",
    ),
    "Many passes over few images": ("few/race", "few/whole", "few/ties", "few/tuned"),
    "Sixteen times the images": ("larger/race", "larger/tuned"),
    "Smaller systems": (
        "choice/race", "choice/tuned", "small/half", "small/small", "small/compressed", "small/half_compressed",
        "small/tuned_adapters", "small/tuned_lora", "small/tuned_multi_head",
    ),
    "Parts": ("choice/race", "parts/zeros", "parts/highest", "parts/no_narrow", "parts/newest_seeds"),
}  # fmt: skip
# The race less another method, over the sets of several suites together; or another method of a suite, where named.
SETS = {
    "20,480 images, seven sets": ("choice", "held_out"),
    "20,480 images, the four that were looked at": ("choice",),
    "20,480 images, seven sets that no choice has seen": ("held_out", "folders"),
    "20,480 images, four of them, folders": ("folders",),
    "81,920 images, seven sets": ("large", "large_held_out"),
    "81,920 images, the four that were looked at": ("large",),
    "81,920 images, seven sets that no choice has seen": ("large_held_out", "large_folders/whole"),
    "81,920 images, four of them, folders": ("large_folders/whole",),
    "81,920 images, the folders, crops alone over 150 passes": ("large_folders",),
    "327,680 images, the four that were looked at": ("larger",),
}
CAPTION = "Mean test accuracy over four sets against unique parameters a task; bars: 95 % over seeds."
AGAINST = {"Parts": "choice/race"}
LABELS = {
    "choice/race": "muNet, a race", "choice/tuned": "tuned fine-tuning",
    "small/half": "muNet, half cloned", "small/small": "muNet on adapters", "small/compressed": "muNet, compressed",
    "small/half_compressed": "muNet, half cloned, compressed", "small/tuned_adapters": "tuned adapters",
    "small/tuned_lora": "tuned LoRA", "small/tuned_multi_head": "tuned multi-head",
}  # fmt: skip


@dataclass(frozen=True)
class Method:
    """One method's runs on the sets of a suite.

    Attributes:
      tasks: their names.
      seeds: of the runs.
      test: accuracy by seed and task.
      params: unique parameters a task, by seed.
    """

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    test: np.ndarray
    params: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """Over the tasks, by seed."""
        return np.asarray(self.test.mean(axis=1))


def take_up(name: str, workdir: str) -> None:
    """Puts the runs of a suite into results.csv, in place of those of the same method and seed."""
    new = [
        {
            "suite": name, "method": row.method, "seed": row.seed, "task": row.task,
            "validation_correct": row.validation_correct, "validation_counted": row.validation_counted,
            "test_correct": row.test_correct, "test_counted": row.test_counted, "params": row.params,
            "params_per_task": round(row.params_per_task), "run_image_steps": row.run_image_steps,
        }
        for row in results.read(workdir)
    ]  # fmt: skip
    replaced = {(row["method"], str(row["seed"])) for row in new}
    kept = [row for row in read() if row["suite"] != name or (row["method"], row["seed"]) not in replaced]
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *new], key=lambda row: (row["suite"], row["method"], int(row["seed"]))))


def read() -> list[dict[str, str]]:
    """The counts."""
    with (HERE / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def methods(rows: Iterable[dict[str, str]]) -> dict[str, Method]:
    """Every method of every suite, as `suite/method`."""
    grouped: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        grouped.setdefault(f"{row['suite']}/{row['method']}", []).append(row)
    return {name: _method(own) for name, own in grouped.items()}


def _method(rows: Sequence[dict[str, str]]) -> Method:
    seeds = tuple(sorted({int(row["seed"]) for row in rows}))
    tasks = tuple(dict.fromkeys(row["task"] for row in rows))
    by_place = {(int(row["seed"]), row["task"]): row for row in rows}
    test = [
        [int(by_place[seed, task]["test_correct"]) / int(by_place[seed, task]["test_counted"]) for task in tasks]
        for seed in seeds
    ]
    params = [float(by_place[seed, tasks[0]]["params_per_task"]) for seed in seeds]
    return Method(tasks, seeds, np.array(test), np.array(params))


def difference(own: Method, other: Method) -> tuple[np.ndarray, Interval | None]:
    """By seed, over the tasks of both; the interval of their mean, where there are two seeds or more."""
    seeds = [seed for seed in own.seeds if seed in other.seeds]
    by_seed = np.array([own.means[own.seeds.index(s)] - other.means[other.seeds.index(s)] for s in seeds])
    return by_seed, t_interval(by_seed) if len(seeds) > 1 else None


def table(title: str, names: Sequence[str], found: dict[str, Method]) -> str:
    """One table of the page."""
    names = [name for name in names if name in found]
    if not names:
        return ""
    against = AGAINST.get(title) or next(name for name in names if name.endswith("/tuned"))
    tasks = found[names[0]].tasks
    header = ["method", "seeds", *(task.rpartition("/")[2] for task in tasks), "mean", "less " + against, "by seed",
              "parameters a task"]  # fmt: skip
    rows = []
    for name in names:
        own = found[name]
        by_seed, interval = difference(own, found[against])
        spread = f" ± {100 * own.means.std(ddof=1):.2f}" if len(own.seeds) > 1 else ""
        span = f", {100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}" if interval else ""
        rows.append(
            [
                name,
                str(len(own.seeds)),
                *(f"{100 * value:.1f}" for value in own.test.mean(axis=0)),
                f"{100 * own.means.mean():.2f}{spread}",
                "" if name == against else f"{100 * by_seed.mean():+.2f}{span}",
                "" if name == against else ", ".join(f"{100 * value:+.2f}" for value in by_seed),
                f"{own.params.mean():,.0f}",
            ]
        )
    return f"## {title}\n\n" + markdown_table(header, rows)


def together(found: dict[str, Method], other: str) -> str:
    """The race less another method over the sets of one or more suites, each set with the same weight."""
    rows = []
    for title, suites in SETS.items():
        named = [suite.partition("/") for suite in suites]
        pairs = [(found.get(f"{suite}/{own or 'race'}"), found.get(f"{suite}/{other}")) for suite, _, own in named]
        differences = [_by_set(own, them) for own, them in pairs if own is not None and them is not None]
        if len(differences) == len(suites):
            for left_out in ("", "omniglot"):
                sets = {name: by_seed for part in differences for name, by_seed in part.items() if name != left_out}
                if left_out and len(sets) == sum(map(len, differences)):
                    continue
                by_seed = np.array(list(sets.values())).mean(axis=0)
                interval = t_interval(by_seed) if len(by_seed) > 1 else ()
                span = " to ".join(f"{100 * end:+.1f}" for end in interval)
                told = f"{title}, without {left_out}" if left_out else title
                seeds = ", ".join(f"{100 * value:+.2f}" for value in by_seed)
                rows.append([told, str(len(sets)), seeds, f"{100 * by_seed.mean():+.2f}", span])
    return f"## The race less {other}\n\n" + markdown_table(["where", "sets", "by seed", "mean", "95 %"], rows)


def _by_set(own: Method, other: Method) -> dict[str, np.ndarray]:
    """Differences by seed of every set of a suite."""
    seeds = [seed for seed in own.seeds if seed in other.seeds]
    picked = [one.test[[one.seeds.index(seed) for seed in seeds]] for one in (own, other)]
    return {task.rpartition("/")[2]: picked[0][:, i] - picked[1][:, i] for i, task in enumerate(own.tasks)}


def draw(found: dict[str, Method]) -> None:
    """Figure 3 of all methods on the sets that were looked at: mean test accuracy against parameters a task."""
    curves = []
    for name, label in LABELS.items():
        if name not in found:
            continue
        own = found[name]
        low, high = t_interval(own.means) if len(own.seeds) > 1 else (own.means.mean(),) * 2
        point = Point("", float(own.params.mean()), float(own.means.mean()), float(low), float(high))
        curves.append(Curve(label, (point,)))
    spec = tradeoff.spec(curves, "parameters a task", "mean test accuracy", legend=False)
    (HERE / "figure_3.svg").write_bytes(Chart("figure_3", "Accuracy against parameters", CAPTION, spec).svg())


def main() -> None:
    """See the module."""
    for given in sys.argv[1:]:
        name, _, workdir = given.partition("=")
        take_up(name, workdir)
    found = methods(read())
    tables = [table(title, names, found) for title, names in TABLES.items()]
    print("\n\n".join([*filter(None, tables), *(together(found, other) for other in ("tuned", "full"))]))
    draw(found)


if __name__ == "__main__":
    main()
