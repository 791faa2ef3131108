"""`--reference=paper`: the paper's numbers (its Tables 1, 2, 6, 7) beside ours, and what differs between the two.

Methods are matched by name (`full`, `scale_0.3`, ...) and tasks by name. Where tasks differ, the paper's mean over the
tasks that both have stands beside our mean over the same.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from munet.store import codec
from munet.suites import summary
from munet.suites.rows import Row
from munet.suites.summary import MethodSummary
from munet.text import markdown_table
from munet.types import TaskName

REFERENCES = ("paper",)
_ALIASES = {"scale_1": "munet"}
_MISSING = "-"

MeanAndStd = tuple[float, ...]  # percent: mean, deviation over runs


@dataclass(frozen=True)
class PaperMethod:
    """A row of the paper's tables; accuracies in percent.

    Attributes:
      max, mean, std: of the mean test accuracy over runs.
      params_per_task: single parameters, as rounded in the paper.
      core_hours: TPUv3.
      test, validation: (mean, deviation) by task; None where the number could not be read.
    """

    max: float
    mean: float
    std: float
    params_per_task: int
    core_hours: float
    test: Mapping[TaskName, MeanAndStd | None] = field(default_factory=dict)
    validation: Mapping[TaskName, MeanAndStd | None] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperBenchmark:
    """One benchmark of the paper.

    Attributes:
      table: number of its summary.
      runs: repetitions.
      root: in words.
      variant, num_blocks: the root's architecture.
      image_steps: training images of a run; None if it cannot be derived.
      splits: of each task, as `notation.describe_split` says it.
      methods: by our names.
    """

    table: int
    runs: int
    root: str
    variant: str
    num_blocks: int
    image_steps: int | None
    splits: Mapping[TaskName, str]
    methods: Mapping[str, PaperMethod]


@functools.cache
def paper(benchmark: str) -> PaperBenchmark:
    """The paper's numbers for `characters` or `decathlon`."""
    text = resources.files("munet").joinpath("assets/paper_tables.json").read_text("utf-8")
    return codec.from_json(PaperBenchmark, json.loads(text)["benchmarks"][benchmark], "paper_tables.json")


def section(rows: Sequence[Row], benchmark: str) -> list[str]:
    """The part of the page with the paper's numbers; Markdown blocks."""
    theirs, ours = paper(benchmark), summary.methods(rows)
    pairs = [(own, theirs.methods[name]) for own in ours if (name := _name(own.name, theirs))]
    others = [own.title for own in ours if _name(own.name, theirs) is None]
    labels = summary.tasks(rows)
    common = [task for task in labels if task in theirs.splits]
    blocks = [f"## Beside the paper's Table {theirs.table}"]
    if not pairs:
        return [*blocks, "No method of this suite is in that table."]
    blocks += ["**These are not the same experiment.** What differs:", _bullets(differences(rows, benchmark))]
    blocks += [_means(pairs, common), _LEGEND.format(tasks=", ".join(labels[task] for task in common) or "none")]
    if common:
        blocks += ["Test accuracy per task, ours / the paper's:", _by_task(pairs, common, labels, 0)]
        blocks += ["Validation accuracy per task, ours / the paper's:", _by_task(pairs, common, labels, 1)]
    if others:
        blocks.append(f"Not in the paper's table: {', '.join(others)}.")
    return blocks


_LEGEND = "Ours / the paper's. Test accuracy in percent, over all tasks of each and over the same: {tasks}."


def differences(rows: Sequence[Row], benchmark: str) -> list[str]:
    """What our runs have otherwise than the paper's, a sentence each."""
    theirs, first = paper(benchmark), rows[0]
    ours = {row.task: row.split for row in rows}
    found = [f"root: {first.root_name} ({first.variant}, {first.num_blocks} blocks); the paper: {theirs.root}"]
    if (first.variant, first.num_blocks) != (theirs.variant, theirs.num_blocks):
        found[0] += f", {theirs.num_blocks} blocks"
    if missing := [task for task in theirs.splits if task not in ours]:
        found.append(f"data: the paper also has {', '.join(missing)}")
    if more := [task for task in ours if task not in theirs.splits]:
        found.append(f"data: the paper does not have {', '.join(more)}")
    for task, split in ours.items():
        if task in theirs.splits and theirs.splits[task] != split:
            found.append(f"split of {task}: {split}; the paper: {theirs.splits[task]}")
    steps = sorted({row.run_image_steps for row in rows})
    budget = " to ".join(dict.fromkeys(f"{value:,}" for value in (steps[0], steps[-1])))
    if theirs.image_steps and steps != [theirs.image_steps]:
        share = steps[-1] / theirs.image_steps
        ratio = f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
        found.append(f"budget: {budget} image-steps a run; the paper: {theirs.image_steps:,} ({ratio} of it)")
    elif not theirs.image_steps:
        found.append(f"budget: {budget} image-steps a run; the paper's is not stated")
    counts = sorted({len(method.seeds) for method in summary.methods(rows)})
    if counts != [theirs.runs]:
        found.append(f"runs: {' to '.join(dict.fromkeys(map(str, (counts[0], counts[-1]))))}; the paper: {theirs.runs}")
    if (metric := summary.metric(rows)) != "accuracy":
        found.append(f"metric: {metric}; the paper: accuracy")
    found.append(f"device: {first.num_devices} x {first.device}; the paper's hours are of TPUv3 cores")
    return found


def _name(method: str, theirs: PaperBenchmark) -> str | None:
    """The paper's method of that name."""
    name = _ALIASES.get(method, method)
    return name if name in theirs.methods else None


def _means(pairs: Sequence[tuple[MethodSummary, PaperMethod]], common: Sequence[TaskName]) -> str:
    head = ["method", "max", "mean ± std", "mean, same tasks", "parameters/task x10^6", "device-hours"]
    body = [
        [
            own.title,
            f"{100 * own.test.max:.2f} / {theirs.max:.2f}",
            f"{summary.accuracy(own.test)} / {theirs.mean:.2f} ± {theirs.std:.2f}",
            f"{_percent([100 * own.by_task[task][0].mean if task in own.by_task else None for task in common])} / "
            f"{_percent([value[0] if (value := theirs.test.get(task)) else None for task in common])}",
            f"{summary.millions(own.params_per_task)} / {theirs.params_per_task / 1e6:.2f}",
            f"{own.device_hours.mean:.3f} / {theirs.core_hours:.2f}",
        ]
        for own, theirs in pairs
    ]
    return markdown_table(head, body)


def _by_task(
    pairs: Sequence[tuple[MethodSummary, PaperMethod]],
    common: Sequence[TaskName],
    labels: Mapping[TaskName, str],
    index: int,
) -> str:
    """Test (index 0) or validation (1) of each task."""
    body = [[own.title, *(_cell(own, theirs, task, index) for task in common)] for own, theirs in pairs]
    return markdown_table(["method", *(labels[task] for task in common)], body)


def _cell(own: MethodSummary, theirs: PaperMethod, task: TaskName, index: int) -> str:
    ours = f"{100 * own.by_task[task][index].mean:.1f}" if task in own.by_task else _MISSING
    value = (theirs.test, theirs.validation)[index].get(task)
    return f"{ours} / {value[0]:.1f}" if value else f"{ours} / {_MISSING}"


def _percent(values: Sequence[float | None]) -> str:
    """The mean; nothing where a value is missing."""
    known = [value for value in values if value is not None]
    return f"{math.fsum(known) / len(known):.2f}" if known and len(known) == len(values) else _MISSING


def _bullets(items: Sequence[str]) -> str:
    return "\n".join(f"* {item}" for item in items)
