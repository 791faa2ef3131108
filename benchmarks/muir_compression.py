"""Finished models re-expressed by hypermodules, and by low-rank updates of the root, at equal numbers of parameters.

    python -m benchmarks.muir_compression WORKDIR... [--output=FOLDER] [--starts=2] [--steps=5] [--data_dir=DIR]

Each WORKDIR holds a finished run of munet evolve whose models are clones of the root's layers. Of every model the
kernels of its blocks are stored otherwise, all else stays; nothing is trained after. Contenders: `low_rank` (the first
singular vectors of each kernel's difference to the root's, `munet/store/low_rank.py`), `differences` (hypermodules of
16 x 16, contexts of 4, fitted to these differences), `weights` (fitted to the kernels themselves, for which no root is
needed) and `weights_and_root` (the same with as many numbers more as the root's kernels are). Writes results.csv and
accuracy.svg to FOLDER, and prints the table of docs/results/muir_compression.md. Without any WORKDIR the table and the
figure are made of the results.csv that is there.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.contenders import hypermodules
from benchmarks.contenders.kernels import Models
from munet.report.charts import tradeoff
from munet.report.charts.chart import Chart
from munet.report.charts.tradeoff import Curve, Point
from munet.store.low_rank import Update, materialised
from munet.suites.paired import t_interval
from munet.text import markdown_table, say_beside
from munet.training.program import jax_settings

BLOCK, CONTEXT = (16, 16), 4
RANKS = (4, 8, 16, 32)  # of the low-rank updates, whose sizes all contenders have
LABELS = {
    "whole": "they are",
    "root": "the root's",
    "low_rank": "low-rank updates of the root",
    "differences": "hypermodules of the differences to the root",
    "weights": "hypermodules of the weights",
    "weights_and_root": "hypermodules of the weights, root's share",
}
_DRAWN = ("low_rank", "weights_and_root", "differences")  # `weights` are so far below that nothing else could be seen


@dataclass(frozen=True)
class Row:
    """What a task's model gets right of its test images when its kernels are stored in some form.

    Attributes:
      system: number of the run.
      contender, rank: the form, and the rank of the low-rank updates that are as large; "whole" and "root" have none.
      start: of the fit.
      size: numbers, of all tasks together, beside as many as the root's kernels have, which all but `weights` need.
      modules: in use.
      error: squared, of all kernels, as a share of their squared difference to the root's.
      task, correct, counted: test images.
    """

    system: int
    contender: str
    rank: int
    start: int
    size: int
    modules: int
    error: float
    task: str
    correct: int
    counted: int


def rows_of(number: int, models: Models, starts: int, steps: int) -> Iterator[Row]:
    """All forms of a run's models, measured."""
    blocks, root = models.blocks(models.kernels), models.blocks([models.root] * len(models.kernels))
    scale = float(((blocks - root) ** 2).sum())

    def measured(
        contender: str, rank: int, start: int, size: int, modules: int, made: Float[np.ndarray, "locations x"]
    ) -> Iterator[Row]:
        error = float(((made - blocks) ** 2).sum()) / scale
        say_beside(f"system {number}: {contender} {rank}, start {start}: {size:,} numbers, error {error:.3f}")
        for task, correct, counted in models.correct(models.kernels_of(made)):
            yield Row(number, contender, rank, start, size, modules, error, task, correct, counted)

    yield from measured("whole", 0, 0, blocks.size, 0, blocks)
    yield from measured("root", 0, 0, 0, 0, root)
    updates = [Update(own, models.root) for own in models.kernels]
    for rank in RANKS:
        size = sum(update.num_params(rank) for update in updates)
        low = models.blocks([materialised(update.stored(rank), models.root) for update in updates])
        yield from measured("low_rank", rank, 0, size, 0, low)
        for contender, given, added, more in (
            ("differences", blocks - root, root, 0),
            ("weights", blocks, 0, 0),
            ("weights_and_root", blocks, 0, sum(leaf.size for leaf in models.root.values())),
        ):
            count = hypermodules.affordable(size + more, len(blocks), CONTEXT, BLOCK)
            for start in range(starts if contender == "differences" else 1):
                found = hypermodules.fit(given, count, CONTEXT, start, steps)
                numbers = hypermodules.numbers(found.alignment.tolist(), CONTEXT, BLOCK)
                used = len(np.unique(found.alignment))
                yield from measured(contender, rank, start, numbers - more, used, found.blocks + added)


@dataclass(frozen=True)
class Mean:
    """Accuracy of a form, mean over tasks and starts, of every run."""

    size: float
    by_system: Float[np.ndarray, " systems"]
    error: float


def mean(rows: Sequence[Row], contender: str, rank: int) -> Mean:
    """Of the rows of a form."""
    own = [row for row in rows if (row.contender, row.rank) == (contender, rank)]
    systems = sorted({row.system for row in own})
    accuracies = [np.mean([row.correct / row.counted for row in own if row.system == system]) for system in systems]
    size, error = (float(np.mean([getattr(row, name) for row in own])) for name in ("size", "error"))
    return Mean(size, np.array(accuracies), error)


def table(rows: Sequence[Row]) -> str:
    """The page's: accuracy of every form, and how far it lies behind the whole models and above low rank."""
    whole, body = mean(rows, "whole", 0), []
    for contender, rank in dict.fromkeys((row.contender, row.rank) for row in rows):
        own = mean(rows, contender, rank)
        low = None if not rank or contender == "low_rank" else mean(rows, "low_rank", rank)
        body.append(
            [
                LABELS[contender],
                str(rank or ""),
                f"{own.size:,.0f}",
                f"{own.size / whole.size:.1%}",
                f"{own.error:.3f}",
                f"{100 * own.by_system.mean():.2f}",
                "" if contender == "whole" else _points(own.by_system - whole.by_system),
                "" if low is None else _points(own.by_system - low.by_system),
            ]
        )
    head = ["kernels as", "rank", "numbers", "of all", "error", "test accuracy, %", "less whole", "less low rank"]
    return markdown_table(head, body)


def _points(differences: Float[np.ndarray, " systems"]) -> str:
    """A mean difference in points, with its interval over runs, if there are several."""
    if len(differences) < 2:
        return f"{100 * differences.mean():+.2f}"
    low, high = t_interval(differences)
    return f"{100 * differences.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def chart(rows: Sequence[Row]) -> Chart:
    """Accuracy against size."""
    curves = []
    for contender in _DRAWN:
        points = []
        for rank in RANKS:
            own = mean(rows, contender, rank)
            middle = float(own.by_system.mean())
            low, high = t_interval(own.by_system) if len(own.by_system) > 1 else (middle, middle)
            points.append(Point("", own.size, middle, max(float(low), 0), min(float(high), 1)))
        curves.append(Curve(LABELS[contender], points))
    spec = tradeoff.spec(curves, "numbers in the kernels of all tasks", "mean test accuracy")
    caption = "Mean test accuracy of three tasks against the numbers that store their kernels; bands: 95 % over runs."
    return Chart("accuracy", "Accuracy against size", caption, spec)


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Keeps the rows in results.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(map(astuple, rows))


def read(folder: Path) -> list[Row]:
    """The rows that are kept there."""
    kinds = {"int": int, "float": float, "str": str}
    with (folder / "results.csv").open(newline="") as file:
        return [
            Row(**{field.name: kinds[str(field.type)](line[field.name]) for field in fields(Row)})
            for line in csv.DictReader(file)
        ]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdirs", nargs="*")
    parser.add_argument("--output", type=Path, default=Path("muir_compression"))
    parser.add_argument("--starts", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--data_dir", default="")
    given = parser.parse_args()
    if given.workdirs:
        jax_settings.pin(say_beside)
        opened = (Models(workdir, BLOCK, given.data_dir) for workdir in given.workdirs)
        write(
            given.output,
            [row for number, own in enumerate(opened) for row in rows_of(number, own, given.starts, given.steps)],
        )
    rows = read(given.output)
    (given.output / "accuracy.svg").write_bytes(chart(rows).svg())
    print(table(rows))


if __name__ == "__main__":
    main()
