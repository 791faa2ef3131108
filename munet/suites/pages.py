"""results.md, results.csv and results_tasks.csv: the numbers in the shape of the paper's Tables 1, 2, 6 and 7."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from munet.suites import paired, summary
from munet.suites.figures import CAPTIONS
from munet.suites.paired import Comparison, Interval
from munet.suites.rows import Row
from munet.suites.summary import MethodSummary, Spread

_MISSING = "-"


def markdown(
    rows: Sequence[Row],
    *,
    suite: str,
    against: str,
    notes: Sequence[str] = (),
    figures: Sequence[str] = (),
    reference: Sequence[str] = (),
) -> str:
    """The page.

    Args:
      rows: of all complete runs.
      suite: `FILE[:VARIANT]`.
      against: the method that the others are compared with.
      notes: what else a reader must know, e.g. runs that are missing.
      figures: file names of figures that are there, relative to the page.
      reference: blocks with somebody else's numbers.
    """
    found = summary.methods(rows)
    parts = [f"# Results of the suite {suite}", *_list(notes)]
    if not rows:
        return _join([*parts, "No run is complete yet."])
    parts += [_what(rows)]
    if differing := summary.differences(rows):
        parts += ["**Not like with like:**", *_list(differing)]
    parts += ["## Methods", _methods_table(found), _METHODS_LEGEND.format(metric=summary.metric(rows))]
    titles = {method.name: method.title for method in found}
    if against in titles and len(found) > 1:
        parts += [f"## Compared with {titles[against]}", _paired_table(paired.compare(rows, against)), _PAIRED_LEGEND]
    labels = summary.tasks(rows)
    for index, what in enumerate(("Test", "Validation")):
        parts += [f"## {what} {summary.metric(rows)} per task", _task_table(found, labels, index)]
    parts += [_SPLITS, *_list(_splits(rows))]
    parts += reference
    for figure in figures:
        name = figure.rpartition("/")[2].removesuffix(".svg").replace("_", " ").capitalize()
        parts += [f"## {name}", f"![{name}]({figure})", CAPTIONS.get(figure.rpartition("/")[2], "")]
    return _join(parts)


_METHODS_LEGEND = (
    "Test {metric} in percent, averaged over the tasks of a run: its largest value and mean ± sample standard "
    "deviation over runs. Parameters a task: unique parameters in use / tasks. Image-steps: training images that all "
    "children, or all replicas of a baseline, saw in one run. Device-hours: of training in one run, times devices."
)
_PAIRED_LEGEND = (
    "Differences of the test columns in points, paired by seed and task. First interval: 95 %, Student's t over seeds, "
    "for these tasks. Second: 95 %, over seeds and tasks, for other tasks of the kind. Neither is corrected for "
    "several comparisons."
)
_SPLITS = "Percent, mean ± sample standard deviation over runs. Splits in use:"


def methods_csv(rows: Sequence[Row]) -> str:
    """Table 1 or 2, a line for each method; accuracies in percent."""
    lines: list[list[object]] = [
        [
            "method", "title", "runs", "test_max", "test_mean", "test_std", "validation_mean", "validation_std",
            "params_per_task_mean", "params_per_task_std", "device_hours_mean", "image_steps_mean",
        ]
    ]  # fmt: skip
    for method in summary.methods(rows):
        lines.append(
            [
                method.name,
                method.title,
                len(method.seeds),
                _points(method.test.max),
                _points(method.test.mean),
                _points(method.test.std),
                _points(method.validation.mean),
                _points(method.validation.std),
                f"{method.params_per_task.mean:.1f}",
                "" if method.params_per_task.std is None else f"{method.params_per_task.std:.1f}",
                f"{method.device_hours.mean:.4f}",
                f"{method.image_steps.mean:.0f}",
            ]
        )
    return _csv(lines)


def tasks_csv(rows: Sequence[Row]) -> str:
    """Tables 6 or 7, test and validation: a line for each method and task; accuracies in percent."""
    splits = {row.task: row.split for row in rows}
    lines: list[list[object]] = [
        ["method", "title", "task", "split", "runs", "test_mean", "test_std", "validation_mean", "validation_std"]
    ]
    for method in summary.methods(rows):
        for task, (test, validation) in method.by_task.items():
            spreads = [_points(value) for value in (test.mean, test.std, validation.mean, validation.std)]
            lines.append([method.name, method.title, task, splits[task], len(test.values), *spreads])
    return _csv(lines)


def _what(rows: Sequence[Row]) -> str:
    first = rows[0]
    runs = len({(row.method, row.seed) for row in rows})
    return (
        f"{runs} runs of {len(summary.methods(rows))} methods on {len(summary.tasks(rows))} tasks. Root: "
        f"{first.root_name} ({first.variant}, {first.num_blocks} blocks, SHA-256 {first.root_sha256[:12]}). Device: "
        f"{first.num_devices} x {first.device}. munet {first.munet_version}, JAX {first.jax_version}."
    )


def _methods_table(found: Sequence[MethodSummary]) -> str:
    best = max(method.test.mean for method in found)
    head = ["method", "runs", "max", "mean ± std", "parameters/task x10^6", "device-hours", "image-steps"]
    body = [
        [
            method.title,
            str(len(method.seeds)),
            f"{100 * method.test.max:.2f}",
            _bold(accuracy(method.test), method.test.mean == best),
            millions(method.params_per_task),
            f"{method.device_hours.mean:.3f}",
            f"{method.image_steps.mean:,.0f}",
        ]
        for method in found
    ]
    return table(head, body)


def _paired_table(comparisons: Sequence[Comparison]) -> str:
    head = [
        "method",
        "difference",
        "95 % over seeds",
        "95 % over seeds and tasks",
        "won / tied / lost",
        "seeds x tasks",
    ]
    return table(head, [_paired_line(item) for item in comparisons])


def _paired_line(item: Comparison) -> list[str]:
    if item.difference is None:
        return [item.title, *[_MISSING] * 5]
    return [
        item.title,
        f"{100 * item.difference:+.2f}",
        _interval(item.interval),
        _interval(item.wider),
        f"{item.won} / {item.tied} / {item.lost}",
        f"{item.num_seeds} x {item.num_tasks}",
    ]


def _task_table(found: Sequence[MethodSummary], labels: dict[str, str], index: int) -> str:
    bests = {
        task: max(method.by_task[task][index].mean for method in found if task in method.by_task) for task in labels
    }
    body = []
    for method in found:
        cells = []
        for task in labels:
            spread = method.by_task[task][index] if task in method.by_task else None
            is_best = spread is not None and spread.mean == bests[task]
            cells.append(_MISSING if spread is None else _bold(accuracy(spread), is_best))
        body.append([method.title, *cells, accuracy((method.test, method.validation)[index])])
    return table(["method", *labels.values(), "mean"], body)


def _splits(rows: Sequence[Row]) -> list[str]:
    """One line for each way of splitting, with its tasks."""
    by_split: dict[str, list[str]] = {}
    for task, label in summary.tasks(rows).items():
        row = next(row for row in rows if row.task == task)
        by_split.setdefault(row.split, []).append(
            f"{label} ({row.num_train:,} / {row.validation_counted:,} of {row.num_validation:,} / {row.num_test:,})"
        )
    named = {
        "clean": "clean (14 / 2 / 4 drawings of each character)",
        "80/10/10": "80/10/10 by content hash and seed",
    }
    return [
        f"{named.get(split, f'`{split}`')}: {', '.join(tasks)} train / validated / test images"
        for split, tasks in by_split.items()
    ]


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A Markdown table; numbers to the right."""
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)]), *map(_line, body)]
    return "\n".join(lines)


def accuracy(spread: Spread) -> str:
    """`91.41 ± 1.06` percent; without a deviation if there is only one run."""
    return f"{100 * spread.mean:.2f}" + ("" if spread.std is None else f" ± {100 * spread.std:.2f}")


def millions(spread: Spread) -> str:
    """`1.525`, with its deviation where runs differ."""
    text = f"{spread.mean / 1e6:.3f}"
    return f"{text} ± {spread.std / 1e6:.3f}" if spread.std else text


def _interval(interval: Interval | None) -> str:
    return _MISSING if interval is None else f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f}"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.4f}"


def _bold(text: str, is_best: bool) -> str:
    return f"**{text}**" if is_best else text


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _list(items: Sequence[str]) -> list[str]:
    return ["\n".join(f"* {item}" for item in items)] if items else []


def _join(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _csv(lines: Iterable[Iterable[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()
