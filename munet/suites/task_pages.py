"""Tables of a suite whose tasks have different metrics: a column for each task, and gains on one of the methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from munet.intervals import tells_apart
from munet.methods.muir.metrics import METRICS
from munet.suites.alignments import Search
from munet.suites.summary import Sample
from munet.suites.value_rows import VERSIONS, Gain, ValueRow, Version, gains
from munet.text import count, markdown_table

_LEGEND = (
    "On test examples; mean over seeds ± its standard error. {metrics}. *Best validation loss*: the version with the "
    "best mean validation loss over all tasks of the training. Blocks, modules that are used at the end, and numbers "
    "in generated weights (*folded*: modules that are no cheaper than the blocks that they make count as these) are of "
    "all tasks of a training together; seconds are wall time of training all seeds side by side."
)
_GAINS = (
    "Mean over seeds of the difference to the same seed of {against}, positive where the method is better whatever "
    "the metric (of accuracies in points), with the 95 % interval (Student's t) over the seeds; **bold**: it does not "
    "hold zero. Nothing corrects for comparing several methods at several tasks."
)
_SHARING = (
    "Means over seeds, after the first generation that is recorded, at half of them and after the last one.{begins} "
    "Folded: numbers in generated weights, as above."
)
_BURN_IN = " Generation 0 is the burn-in, before the search: every block has a module for itself."


def sections(rows: Sequence[ValueRow], against: str, searches: Mapping[str, Sequence[Search]]) -> list[str]:
    """Parts of the page, in order.

    Args:
      rows: of all complete trainings.
      against: the method that others are compared with.
      searches: of the methods that search, by name.
    """
    parts = []
    for version, words in VERSIONS.items():
        parts += [f"## Qualities: {words}", quality_table(rows, version)]
    parts.append(_LEGEND.format(metrics="; ".join(_metrics(rows))))
    titles = {row.method: row.title for row in rows}
    for version, words in VERSIONS.items() if against in titles else ():
        if found := gains(rows, against, version):
            parts += [f"## Gains on {titles[against]}: {words}", gain_table(found)]
    if against in titles and len(titles) > 1:
        parts.append(_GAINS.format(against=titles[against]))
    parts += ["## Sizes", size_table(rows)]
    if shared := [one for own in searches.values() for one in own if one.shared]:
        legend = _SHARING.format(begins=_BURN_IN if any(one.begins == 0 for one in shared) else "")
        parts += ["## Who shares", sharing_table(titles, searches), legend]
    return parts


def brief(rows: Sequence[ValueRow]) -> list[str]:
    """For the terminal: a line for each method and task."""
    lines = [f"on test examples at the end, mean of seeds ± standard error; {'; '.join(_metrics(rows))}:"]
    for (method, title), tasks in _by_method(rows).items():
        lines.append(f"  {title}")
        lines += [f"    {task}: {_cell(rows, method, task, 'end')}" for task in tasks]
    return lines


def quality_table(rows: Sequence[ValueRow], version: Version) -> str:
    """Methods by tasks."""
    tasks = list(dict.fromkeys(row.task for row in rows))
    metric_of = {row.task: row.metric for row in rows}
    body = []
    for (method, title), own in _by_method(rows).items():
        seeds = len({row.seed for row in rows if row.method == method})
        cells = [_cell(rows, method, task, version) if task in own else "-" for task in tasks]
        body.append([title, str(seeds), *cells])
    return markdown_table(["method", "seeds", *(f"{task} ({metric_of[task]})" for task in tasks)], body)


def gain_table(found: Sequence[Gain]) -> str:
    """Methods by tasks."""
    tasks = list(dict.fromkeys(gain.task for gain in found))
    by_place = {(gain.method, gain.task): gain for gain in found}
    titles = {gain.method: gain.title for gain in found}
    body = []
    for method, title in titles.items():
        cells = [by_place.get((method, task)) for task in tasks]
        body.append([title, *("-" if cell is None else _gain(cell) for cell in cells)])
    return markdown_table(["method", *tasks], body)


def size_table(rows: Sequence[ValueRow]) -> str:
    """What the generated weights of all tasks of a method are."""
    body = []
    for (method, title), _ in _by_method(rows).items():
        own = list({row.seed: row for row in rows if row.method == method}.values())
        cells = [
            f"{math.fsum(getattr(row, name) for row in own) / len(own):,.0f}"
            for name in ("blocks", "num_modules", "plain_size", "size", "folded_size")
        ]
        body.append([title, *cells, f"{own[0].run_seconds:.0f}"])
    return markdown_table(["method", "blocks", "modules", "plain", "with modules", "folded", "seconds"], body)


def sharing_table(titles: Mapping[str, str], searches: Mapping[str, Sequence[Search]]) -> str:
    """After how many generations how many modules are used by which tasks; means over seeds."""
    rows: list[list[str]] = []
    for method, found in searches.items():
        own = [one for one in found if one.shared]
        length = min((len(one.shared) for one in own), default=0)
        for at in sorted({0, length // 2, length - 1}) if length else ():
            names: dict[str, None] = {}
            for one in own:
                names |= dict.fromkeys(one.shared[at])
            counts = {
                " + ".join(own[0].tasks[int(task)] for task in name.split("+")):
                sum(one.shared[at].get(name, 0) for one in own) / len(own)
                for name in sorted(names, key=lambda name: (name.count("+"), name))
            }  # fmt: skip
            shown = "; ".join(f"{name} {mean:,.0f}" for name, mean in counts.items())
            folded = sum(one.folded[at] for one in own) / len(own) if own[0].folded else 0
            rows.append([titles[method], str(own[0].begins + at), shown, f"{folded:,.0f}" if folded else "-"])
    return markdown_table(["method", "generation", "modules, by the tasks that use them and no other", "folded"], rows)


def _by_method(rows: Sequence[ValueRow]) -> dict[tuple[str, str], list[str]]:
    """The tasks of every method (name and title), in the order of the rows."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        tasks = found.setdefault((row.method, row.title), [])
        if row.task not in tasks:
            tasks.append(row.task)
    return found


def _cell(rows: Sequence[ValueRow], method: str, task: str, version: Version) -> str:
    own = [row for row in rows if (row.method, row.task) == (method, task)]
    is_share = METRICS[own[0].metric].of_loss is None
    values = [(row.end if version == "end" else row.best) * (100 if is_share else 1) for row in own]
    sample, digits = Sample(tuple(values)), METRICS[own[0].metric].digits
    error = "" if sample.error is None else f" ± {sample.error:.{digits}f}"
    return f"{sample.mean:.{digits}f}{error}" + (" %" if is_share else "")


def _gain(gain: Gain) -> str:
    metric = METRICS[gain.metric]
    scale = 100 if metric.of_loss is None else 1
    text = f"{gain.mean * scale:+.{metric.digits}f}"
    if gain.interval is None:
        return text
    low, high = (edge * scale for edge in gain.interval)
    text = f"{text} ({low:+.{metric.digits}f} to {high:+.{metric.digits}f})"
    return f"**{text}**" if tells_apart(gain.interval) else text


def _metrics(rows: Sequence[ValueRow]) -> list[str]:
    """What each metric is, as `accuracy (2 tasks), the higher the better`."""
    tasks = {row.task: row.metric for row in rows}
    names = list(dict.fromkeys(tasks.values()))
    totals = {name: sum(metric == name for metric in tasks.values()) for name in names}
    return [f"{name} ({count(totals[name], 'task')}): {METRICS[name].words}" for name in names]
