"""A system before and after it was compressed, task by task."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from munet import intervals
from munet.data import notation
from munet.quality import metric_words
from munet.system.view import RunView
from munet.text import percent_or_dash, with_interval
from munet.types import Quality, TaskName


def table(before: RunView, after: RunView, measured: Mapping[TaskName, Quality]) -> Table:
    """Parameters, validation and test quality of every task, before -> after.

    Args:
      before, after: the two systems.
      measured: validation quality of the uncompressed models, measured as that of the compressed ones was: alone.
    """
    result = Table(title=Text(f"Compressed: {after.workdir}", "bold"))
    result.add_column("task", no_wrap=True)
    metric = metric_words(before.experiment.quality_metric)
    for name in ("parameters", "accounted", f"validation\n{metric}", f"test\n{metric}\n(95% interval)"):
        result.add_column(name, justify="right")
    for task, old in before.models.items():
        new = after.model(task)
        result.add_row(
            Text(notation.label(before.task(task).uri)),
            _change(f"{before.params(task):,}", f"{after.params(task):,}"),
            _change(f"{before.accounted_params(task):,.0f}", f"{after.accounted_params(task):,.0f}"),
            _change(percent_or_dash(measured.get(task, old.quality)), percent_or_dash(new.quality)),
            _change(_tested(old.test_quality), _tested(new.test_quality)),
        )
    return result


def summary(before: RunView, after: RunView) -> str:
    """What all tasks together have saved."""
    share = after.total_params / before.total_params
    return (
        f"Parameters in use: {before.total_params:,} -> {after.total_params:,} ({share:.1%}), "
        f"{after.params_per_task:,.0f} a task. {after.workdir} opens like any run; {before.workdir} is as it was."
    )


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def _tested(quality: Quality | None) -> str:
    return "-" if quality is None else with_interval(quality.value, intervals.of_quality(quality))
