"""Rows to the numbers of the paper's tables: per method over runs (Tables 1, 2), per method and task (Tables 6, 7).

And how tables write such numbers: `accuracy`, `millions`, and a Markdown `table` around them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from munet import intervals
from munet.data import notation
from munet.intervals import Interval
from munet.suites.rows import Row
from munet.text import interval_text
from munet.types import TaskName


@dataclass(frozen=True)
class Sample:
    """A number measured several times.

    Attributes:
      values: one for each run.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The arithmetic mean of the values."""
        return math.fsum(self.values) / len(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation (n - 1); None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def max(self) -> float:
        """The largest of the values."""
        return max(self.values)

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    @property
    def error(self) -> float | None:
        """The mean's standard error; None for a single value."""
        return None if self.std is None else self.std / math.sqrt(len(self.values))


@dataclass(frozen=True)
class MethodSummary:
    """One row of Table 1 or 2.

    Attributes:
      name, title: the method's.
      seeds: of its complete runs.
      test, validation: quality (accuracy, unless the runs say otherwise) averaged over the tasks of a run, run by run.
      params_per_task: unique parameters in use / tasks.
      device_hours: of training, a run.
      image_steps: training images that all children of a run saw.
      device: what the hours were measured on.
      flops: of a forward pass on one image, averaged over the tasks of a run.
      by_task: test and validation quality of each task.
      by_images: 95 % interval of the mean test quality of each task for other test images of the kind, as sure as the
        images of one run make it (of balanced accuracy: as if all classes had equally many).
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    test: Sample
    validation: Sample
    params_per_task: Sample
    flops: Sample
    device_hours: Sample
    image_steps: Sample
    device: str
    by_task: dict[TaskName, tuple[Sample, Sample]]
    by_images: dict[TaskName, Interval]

    @property
    def test_by_images(self) -> Interval:
        """The same of the mean over the tasks."""
        means = [self.by_task[task][0].mean for task in self.by_images]
        return intervals.of_mean(means, list(self.by_images.values()))


def methods(rows: Iterable[Row]) -> list[MethodSummary]:
    """A summary of every method, in the order of the rows."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.method, []).append(row)
    return [_summary(name, own) for name, own in grouped.items()]


def tasks(rows: Iterable[Row]) -> dict[TaskName, str]:
    """Every task, in order, with what tables call it: where a set has several splits, the one in use is named."""
    return {row.task: notation.label(row.uri) for row in rows}


def _summary(name: str, rows: Sequence[Row]) -> MethodSummary:
    runs: dict[int, list[Row]] = {}
    by_task: dict[TaskName, list[Row]] = {}
    for row in rows:
        runs.setdefault(row.seed, []).append(row)
        by_task.setdefault(row.task, []).append(row)

    def spread(of_run: Callable[[list[Row]], float]) -> Sample:
        return Sample(tuple(of_run(run) for run in runs.values()))

    return MethodSummary(
        name=name,
        title=rows[0].title,
        seeds=tuple(runs),
        test=spread(lambda run: _mean(row.test_quality for row in run)),
        validation=spread(lambda run: _mean(row.validation_quality for row in run)),
        params_per_task=spread(lambda run: run[0].params_per_task),
        flops=spread(lambda run: _mean(row.flops for row in run)),
        device_hours=spread(lambda run: run[0].run_device_seconds / 3600),
        image_steps=spread(lambda run: float(run[0].run_image_steps)),
        device=", ".join(dict.fromkeys(f"{row.num_devices} x {row.device}" for row in rows)),
        by_task={
            task: (
                Sample(tuple(row.test_quality for row in own)),
                Sample(tuple(row.validation_quality for row in own)),
            )
            for task, own in by_task.items()
        },
        by_images={
            task: intervals.wilson(_mean(row.test_quality for row in own), min(row.test_counted for row in own))
            for task, own in by_task.items()
        },
    )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


def metric(rows: Sequence[Row]) -> str:
    """What qualities are, in words: `accuracy`, `balanced accuracy`, or both."""
    return " or ".join(dict.fromkeys(row.quality_metric for row in rows)).replace("_", " ")


def differences(rows: Sequence[Row]) -> list[str]:
    """What keeps methods from being compared like with like: other seeds, tasks, data, roots, budgets, versions."""
    found = []
    for what, of_row in (
        ("image-steps a run (the budget)", lambda row: f"{row.run_image_steps:,}"),
        ("quality metrics", lambda row: row.quality_metric),
        ("seeds", None),
        ("root", lambda row: f"{row.root_name} ({row.root_sha256[:12]})"),
        ("root's architecture", lambda row: f"{row.variant}, {row.num_blocks} blocks"),
        ("device", lambda row: f"{row.num_devices} x {row.device}"),
        ("munet", lambda row: row.munet_version),
        ("JAX", lambda row: row.jax_version),
    ):
        values: dict[str, list[str]] = {}
        for summary in methods(rows):
            own = [row for row in rows if row.method == summary.name]
            value = _numbers(summary.seeds) if of_row is None else ", ".join(dict.fromkeys(map(of_row, own)))
            values.setdefault(value, []).append(summary.title)
        if len(values) > 1:
            found.append(f"{what} differ: " + "; ".join(f"{value}: {_few(titles)}" for value, titles in values.items()))
    return [*found, *_data_differences(rows), *_changed_settings(rows)]


def _data_differences(rows: Sequence[Row]) -> list[str]:
    """Tasks that not all methods have, or whose data differ between methods with the same seed."""
    found = []
    names = [summary.name for summary in methods(rows)]
    for task in tasks(rows):
        own = [row for row in rows if row.task == task]
        missing = [name for name in names if name not in {row.method for row in own}]
        if missing:
            found.append(f"{task} is missing for: {_few(missing)}")
        for seed in dict.fromkeys(row.seed for row in own):
            prints = {row.fingerprint for row in own if row.seed == seed}
            if len(prints) > 1:
                found.append(f"{task}, seed {seed}: methods saw different data ({len(prints)} fingerprints)")
    return found


def _changed_settings(rows: Sequence[Row]) -> list[str]:
    """Methods whose runs do not all have the same settings, the seed aside."""
    hashes: dict[str, set[str]] = {}
    for row in rows:
        hashes.setdefault(row.method, set()).add(row.experiment_sha256)
    titles = {row.method: row.title for row in rows}
    return [f"{titles[name]}: not all its runs have the same settings" for name, own in hashes.items() if len(own) > 1]


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(values)))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def accuracy(sample: Sample, interval: Interval | None = None) -> str:
    """`91.41 ± 1.06 (89.9-92.7)` percent; without a deviation if there is only one run."""
    deviation = "" if sample.std is None else f" ± {100 * sample.std:.2f}"
    return f"{100 * sample.mean:.2f}{deviation}{f' ({interval_text(interval)})' if interval else ''}"


def millions(sample: Sample) -> str:
    """`1.525`, with its deviation where runs differ."""
    text, deviation = f"{sample.mean / 1e6:.3f}", f"{(sample.std or 0.0) / 1e6:.3f}"
    return f"{text} ± {deviation}" if float(deviation) else text
