"""What the tasks have reached: leaderboard, other systems beside it, quality against parameters, classes that fail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from munet import intervals
from munet.data import notation
from munet.evolution import schedule
from munet.evolution.search_space import insertions
from munet.report import classes, overview
from munet.report.charts import confusion, tradeoff
from munet.report.charts.chart import Chart
from munet.report.charts.tradeoff import Curve, Point
from munet.report.classes import SplitCounts
from munet.report.comparison import comparison
from munet.report.page import parts
from munet.report.page.parts import Column, Part, Section, Table, Text
from munet.report.page.source import Source
from munet.system.view import RunView
from munet.text import with_interval
from munet.types import TaskName

_MOST_MATRICES = 24  # tasks whose confusion matrices are drawn
_WORST = 5  # classes of a task in the table of classes


def sections(source: Source) -> list[Section]:
    """Leaderboard, comparison, quality against parameters, classes."""
    return [
        Section("tasks", "Tasks", [leaderboard(source)] if source.system.models else []),
        Section("comparison", "Beside other systems", _comparison(source)),
        Section("size", "Quality against parameters", _tradeoff(source)),
        Section("classes", "Classes that fail", _classes(source)),
    ]


def leaderboard(source: Source) -> Table:
    """A row a task."""
    system = source.system
    rows = [_task(source, task) for task in system.models]
    is_balanced = system.experiment.quality_metric != "accuracy"
    columns = [
        parts.text("task", "task"),
        parts.plain("classes", "classes"),
        parts.percent("validation", "validation"),
        _with_interval("test", "test (95% interval)"),
        *([_with_interval("test_accuracy", "test accuracy (95% interval)")] if is_balanced else []),
        parts.percent("score", "score"),
        parts.plain("params", "parameters"),
        Column("accounted", lambda row: f"{row['accounted_params']:,.0f}"),
        Column("MFLOPs", lambda row: f"{row['flops'] / 1e6:,.2f}"),
        parts.text("fails", "fails most"),
        parts.text("shares_with", "shares with (components)"),
        Column("model, from root", lambda row: _from_root(row["lineage"]), is_text=True),
    ]
    note = (
        "Validation decides; test is measured once, when a phase ends. Score: quality with its penalty for size "
        "(the paper's Eq. 2). Parameters: of the task's model, shared or not. Accounted: every parameter divided among "
        "the tasks that use it (Eq. 3). MFLOPs: millions of operations to classify one image. Fails most: the class "
        "with the smallest share of its test images right. Shares with: tasks whose models use components of this "
        "one's, those of the root not counted. Model, from root: the models that this one descends from, one a phase; "
        "the last number is its own."
    )
    return Table("leaderboard", "", rows, columns, note, most=1000)


def _task(source: Source, task: TaskName) -> dict[str, Any]:
    system, model = source.system, source.system.models[task]
    test = model.test_quality
    low, high = intervals.of_quality(test) if test else (None, None)
    accuracy_low, accuracy_high = intervals.of_accuracy(test) if test else (None, None)
    counts = classes.class_counts(system, task).test
    lists = len(system.models) <= overview.MOST_TASKS
    return {
        "task": notation.label(system.task(task).uri),
        "classes": system.task(task).num_classes,
        "validation": model.quality.value if model.quality else None,
        "test": test.value if test else None,
        "test_low": low,
        "test_high": high,
        "test_accuracy": test.accuracy if test else None,
        "test_accuracy_low": accuracy_low,
        "test_accuracy_high": accuracy_high,
        "test_images": test.counted if test else None,
        "score": system.score(task),
        "params": system.params(task),
        "accounted_params": system.accounted_params(task),
        "flops": system.flops(task),
        "latency": model.latency,
        "fails": _fails(system.task(task).class_names, counts) if counts else "",
        "shares_with": ", ".join(f"{other} ({n})" for other, n in system.shared_with(task).items()) if lists else "",
        "lineage": " > ".join(str(id) for id in reversed(system.lineage(task))) if lists else "",
    }


def _from_root(lineage: str) -> str:
    """Ids of ancestors as `munet status` has them: the root's, which is 0, by its name."""
    return re.sub(r"^0\b", "root", lineage) or "-"


def _fails(names: tuple[str, ...], counts: SplitCounts) -> str:
    """The class that does worst; "" where none does."""
    worst = counts.worst_first()[0]
    share = counts.share(worst)
    if share is None or share == 1:
        return ""
    # Numbers first: a name may run from right to left.
    return f"{counts.correct[worst]:,} of {counts.counted[worst]:,} right: {names[worst]}"


def _with_interval(key: str, head: str) -> Column:
    def show(row: Mapping[str, Any]) -> str:
        return "-" if row[key] is None else with_interval(row[key], (row[f"{key}_low"], row[f"{key}_high"]))

    return Column(head, show)


def _comparison(source: Source) -> list[Part]:
    """Test quality of every system on every task, and the verdict."""
    if not source.others or not source.system.models:
        return []
    compared = comparison(source.systems)
    rows = [
        {"task": row.name}
        | {
            f"{name}{end}": value
            for name, cell in zip(compared.names, row.cells, strict=True)
            for end, value in {
                "": cell.test,
                "_low": cell.interval[0] if cell.interval else None,
                "_high": cell.interval[1] if cell.interval else None,
                "_params": cell.params,
            }.items()
        }
        for row in (*compared.rows, compared.mean)
    ]
    columns = [parts.text("task", "task")]
    columns += [_with_interval(name, name) for name in compared.names]
    columns += [_rounded(f"{name}_params", f"parameters, {name}") for name in compared.names]
    title = f"Test {source.metric} and accounted parameters"
    return [Text(compared.verdict), Table("comparison", title, rows, columns, most=1000)]


def _rounded(key: str, head: str) -> Column:
    return Column(head, lambda row: "-" if row[key] is None else f"{row[key]:,.0f}")


def _tradeoff(source: Source) -> list[Part]:
    """Systems, then the run's tasks, by size and quality."""
    plain = {name: system for name, system in source.systems.items() if not _inserts_adapters(system)}
    title, without = "Systems without adapter insertion (Fig. 4)", any(_is_evolved(one) for one in plain.values())
    drawn = [
        _of_systems(source, "figure_3", "Systems (Fig. 3)", source.systems),
        _of_systems(source, "figure_4", title, plain) if without else None,
        _of_tasks(source),
    ]
    return [chart for chart in drawn if chart]


def _is_evolved(system: RunView) -> bool:
    """Whether it is muNet's own, not fine-tuned in a fixed way nor jointly."""
    return system.joint is None and not schedule.is_baseline(system.experiment)


def _inserts_adapters(system: RunView) -> bool:
    """Whether its children might be given residual adapters by chance."""
    return _is_evolved(system) and "adapter" in insertions(system.experiment)


def _of_systems(source: Source, name: str, title: str, systems: Mapping[str, RunView]) -> Chart | None:
    rows: list[dict[str, Any]] = []
    for system_name, system in systems.items():
        tests = [model.test_quality for model in system.models.values()]
        mean, interval = overview.mean(tests), overview.mean_interval(tests)
        if mean is not None and interval is not None and len(system.models) == len(source.system.models):
            low, high = interval
            params = system.params_per_task
            rows.append({"system": system_name, "params_per_task": params, "test": mean, "low": low, "high": high})
    if len(rows) < 2:
        return None
    curves = [
        Curve(row["system"], [Point("", row["params_per_task"], row["test"], row["low"], row["high"])]) for row in rows
    ]
    return Chart(
        name,
        title,
        f"Mean test {source.metric} against unique parameters per task; bars: 95 % intervals, what other test images "
        "would give.",
        tradeoff.spec(curves, "parameters per task", f"mean test {source.metric}"),
        rows,
    )


def _of_tasks(source: Source) -> Chart | None:
    rows: list[dict[str, Any]] = []
    for task, model in source.system.models.items():
        if (test := model.test_quality) is not None:
            low, high = intervals.of_quality(test)
            params = source.system.accounted_params(task)
            rows.append({"task": task, "accounted_params": params, "test": test.value, "low": low, "high": high})
    if not rows:
        return None
    curves = [
        Curve(row["task"], [Point("", row["accounted_params"], row["test"], row["low"], row["high"])]) for row in rows
    ]
    return Chart(
        "tasks",
        "Tasks of this run",
        f"Test {source.metric} of each task's model against its accounted parameters; bars: 95 % intervals.",
        tradeoff.spec(curves, "accounted parameters", f"test {source.metric}", False, source.system.plan.numbers),
        rows,
    )


def _classes(source: Source) -> list[Part]:
    """The worst classes of every task, and what is taken for what."""
    rows: list[dict[str, Any]] = []
    charts: list[Chart] = []
    for number, task in enumerate(source.system.models):
        counts = classes.class_counts(source.system, task).test
        if counts is None:
            continue
        names = source.system.task(task).class_names
        rows += [_class(task, names, counts, label) for label in counts.worst_first()[:_WORST]]
        if counts.confusions and len(charts) < _MOST_MATRICES:
            charts.append(
                Chart(
                    f"confusion_{number}",
                    f"{task}: what is taken for what",
                    confusion.caption(len(names), counts),
                    confusion.spec(names, counts),
                    confusion.rows(names, counts),
                )
            )
    wrong = [row for row in rows if row["share"] is not None and row["share"] < 1]
    wrong.sort(key=lambda row: row["share"])
    columns = [
        parts.text("task", "task"),
        parts.text("class", "class"),
        _with_interval("share", "test accuracy (95% interval)"),
        Column("right", lambda row: f"{row['correct']:,} of {row['counted']:,}"),
        parts.text("taken_for", "most often taken for"),
        parts.plain("taken_for_images", "images"),
    ]
    table = Table("worst_classes", f"Worst classes, at most {_WORST} a task", wrong, columns, most=60)
    return [table, *charts] if wrong else [*charts]


def _class(task: TaskName, names: tuple[str, ...], counts: SplitCounts, label: int) -> dict[str, Any]:
    share = counts.share(label)
    low, high = intervals.wilson(share, counts.counted[label]) if share is not None else (None, None)
    taken = next((pair for pair in counts.confusions or () if pair[0] == label), None)
    return {
        "task": task,
        "class": names[label],
        "share": share,
        "share_low": low,
        "share_high": high,
        "correct": counts.correct[label],
        "counted": counts.counted[label],
        "taken_for": names[taken[1]] if taken else "",
        "taken_for_images": taken[2] if taken else None,
    }
