"""results.md: a suite's numbers in the shape of the paper's Tables 1, 2, 6 and 7, and what they were measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from munet.intervals import Interval
from munet.suites import paired, summary
from munet.suites.figures import CAPTIONS
from munet.suites.paired import Comparison
from munet.suites.rows import Row
from munet.suites.summary import MethodSummary, accuracy, millions
from munet.text import count, markdown_table

_MISSING = "-"


def markdown(
    rows: Sequence[Row],
    *,
    suite: str,
    against: str,
    notes: Sequence[str] = (),
    differing: Sequence[str] = (),
    figures: Sequence[str] = (),
    reference: Sequence[str] = (),
) -> str:
    """The page.

    Args:
      rows: of all complete runs.
      suite: `FILE[:VARIANT]`.
      against: the method that the others are compared with.
      notes: what else a reader must know, e.g. runs that are missing.
      differing: what keeps methods from being compared like with like and rows do not show.
      figures: file names of figures that are there, relative to the page.
      reference: blocks with somebody else's numbers.
    """
    found = summary.methods(rows)
    parts = [f"# Results of the suite {suite}", *_list(notes)]
    if not rows:
        return _join([*parts, "No run is complete yet."])
    parts += [_what(rows)]
    if unlike := [*summary.differences(rows), *differing]:
        parts += ["**Not like with like:**", *_list(unlike)]
    labels, metric = summary.tasks(rows), summary.metric(rows)
    parts += [
        "## Methods",
        _methods_table(found),
        _METHODS_LEGEND.format(metric=metric, tasks=", ".join(labels.values())),
    ]
    titles = {method.name: method.title for method in found}
    if against in titles and len(found) > 1:
        compared = paired.compare(rows, against)
        parts += [f"## Compared with {titles[against]}", _paired_table(compared)]
        parts += [text] if (text := paired.verdict(compared, titles[against])) else []
        parts += [_PAIRED_LEGEND]
    for index, what in enumerate(("Test", "Validation")):
        legend = _TASKS_LEGEND + ("" if index else f" {_IMAGES_LEGEND}")
        parts += [f"## {what} {metric} per task", _task_table(found, labels, index), legend]
    parts += ["## Data", _data_table(rows), _DATA_LEGEND, *reference]
    for figure in figures:
        title, caption = CAPTIONS.get(PurePosixPath(figure).stem, (figure, ""))
        parts += [f"## {title}", f"![{title}]({figure})", caption.format(metric=metric)]
    return _join(parts)


_METHODS_LEGEND = (
    "Test {metric} in percent, averaged over the tasks of a run ({tasks}): its largest value and mean ± sample "
    "standard deviation over runs (95 % interval for other test images of the kind). Parameters/task: unique "
    "parameters in use / tasks. Device-hours: of training in one run, times devices. Image-steps: training images that "
    "all children, or all replicas of a baseline, saw in one run."
)
_PAIRED_LEGEND = (
    "Differences of the test columns in points, paired by seed and task. First interval: 95 %, Student's t over seeds, "
    "for these tasks. Second: 95 %, over seeds and tasks, for other tasks of the kind. Neither is corrected for "
    "several comparisons; there is none of a single seed, nor over seeds of one and the same difference, which tell "
    "nothing. Won, tied, lost: pairs of seed and task."
)
_TASKS_LEGEND = "Percent, mean ± sample standard deviation over runs."
_IMAGES_LEGEND = (
    "In brackets the 95 % interval for other test images of the kind, as sure as the images of one run make it "
    "(Wilson; of balanced accuracy as if all classes had equally many); what other seeds give is the deviation."
)
_DATA_LEGEND = (
    "Images in each split. Where only the first images of the validation split decide, both numbers are given."
)
_SPLITS = {"clean": "clean: 14 / 2 / 4 drawings of each character", "80/10/10": "80/10/10 by content hash and seed"}


def brief(rows: Sequence[Row]) -> list[str]:
    """For the terminal, a line for each method: mean test quality, parameters a task, runs."""
    found = summary.methods(rows)
    width = max((len(method.title) for method in found), default=0)
    lines = [
        f"  {method.title:{width}}  {accuracy(method.test, method.test_by_images):>25} %  "
        f"{millions(method.params_per_task)} million parameters a task, {count(len(method.seeds), 'run')}"
        for method in found
    ]
    return [f"mean test {summary.metric(rows)}:", *lines] if lines else []


def _what(rows: Sequence[Row]) -> str:
    first = rows[0]
    runs = len({(row.method, row.seed) for row in rows})
    return (
        f"{count(runs, 'run')} of {count(len(summary.methods(rows)), 'method')} on "
        f"{count(len(summary.tasks(rows)), 'task')}. Root: {first.root_name} ({first.variant}, "
        f"{count(first.num_blocks, 'block')}, SHA-256 {first.root_sha256[:12]}). Device: {first.num_devices} x "
        f"{first.device}. munet {first.munet_version}, JAX {first.jax_version}."
    )


def _methods_table(found: Sequence[MethodSummary]) -> str:
    best = max(method.test.mean for method in found)
    head = ["method", "runs", "max", "mean ± std", "parameters/task x10^6", "device-hours", "image-steps"]
    body = [
        [
            method.title,
            str(len(method.seeds)),
            f"{100 * method.test.max:.2f}",
            _bold(accuracy(method.test, method.test_by_images), method.test.mean == best),
            millions(method.params_per_task),
            f"{method.device_hours.mean:.3f}",
            f"{method.image_steps.mean:,.0f}",
        ]
        for method in found
    ]
    return markdown_table(head, body)


def _paired_table(comparisons: Sequence[Comparison]) -> str:
    head = [
        "method",
        "difference",
        "95 % over seeds",
        "95 % over seeds and tasks",
        "won / tied / lost",
        "seeds x tasks",
    ]
    return markdown_table(head, [_paired_line(item) for item in comparisons])


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
    best = max((method.test, method.validation)[index].mean for method in found)
    body = []
    for method in found:
        cells = []
        for task in labels:
            spread = method.by_task[task][index] if task in method.by_task else None
            is_best = spread is not None and spread.mean == bests[task]
            sure = method.by_images[task] if task in method.by_images and index == 0 else None
            cells.append(_MISSING if spread is None else _bold(accuracy(spread, sure), is_best))
        mean = (method.test, method.validation)[index]
        sure = method.test_by_images if index == 0 else None
        body.append([method.title, *cells, _bold(accuracy(mean, sure), mean.mean == best)])
    return markdown_table(["method", *labels.values(), "mean"], body)


def _data_table(rows: Sequence[Row]) -> str:
    """What the numbers were measured on: a line for each task."""
    body = []
    for task, label in summary.tasks(rows).items():
        row = next(row for row in rows if row.task == task)
        some = f"{row.validation_counted:,} of " if row.validation_counted < row.num_validation else ""
        body.append(
            [
                label,
                f"{row.num_classes:,}",
                f"{row.num_train:,}",
                f"{some}{row.num_validation:,}",
                f"{row.num_test:,}",
                _SPLITS.get(row.split, f"`{row.split}`"),
            ]
        )
    return markdown_table(["task", "classes", "train", "validation", "test", "split"], body)


def _interval(interval: Interval | None) -> str:
    return _MISSING if interval is None else f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f}"


def _bold(text: str, is_best: bool) -> str:
    return f"**{text}**" if is_best else text


def _list(items: Sequence[str]) -> list[str]:
    return ["\n".join(f"* {item}" for item in items)] if items else []


def _join(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"
