"""results.md and results.csv of a suite whose seeds train side by side, on tasks of any metric."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, cast

from munet.methods.muir.metrics import METRICS
from munet.store import codec
from munet.suites import csv_files, generic_tables, task_pages
from munet.suites.alignments import Search
from munet.suites.summary import Sample
from munet.suites.value_rows import VERSIONS, ValueRow, spreads
from munet.text import count, markdown_table

_LEGEND = (
    "Test {metric}, averaged over the {tasks} of a seed; mean over seeds ± its standard error, and median: a few seeds "
    "in which one task runs off decide a mean; {words}. *At the end*: after all rounds. *Best validation "
    "loss*: the version with the best mean validation loss before the final generations. Seconds: wall time of "
    "training all seeds side by side."
)
_SEARCH_LEGEND = (
    "A mapping's score is the sum over tasks of +1 (module shared inside the true group only), 0 (not shared) and -1 "
    "(shared with another group); it is full where every task shares its module, and inside its group only (a group "
    "may have several modules). Reach it: seeds that have a full score after any generation. Found: generations until "
    "then, median over these seeds (least to most). Later generations: share of those after it whose score is full, "
    "too, mean of the seeds that have any. Leavers: the tasks that most often were the ones to leave it, with how "
    "many times, all seeds together."
)


def markdown(
    rows: Sequence[ValueRow],
    searches: Mapping[str, Sequence[Search]],
    *,
    suite: str,
    notes: Sequence[str],
    figures: Sequence[tuple[str, str]] = (),
    paper: str = "",
    against: str = "",
) -> str:
    """The page.

    Args:
      rows: of all complete trainings.
      searches: of the methods that search, by name.
      suite: `FILE[:VARIANT]`.
      notes: what a reader must know.
      figures: files relative to the page, each with what is to be seen.
      paper: which of the paper's tables stands beside the numbers; "": none.
      against: the method with which others are compared, task by task, where metrics differ.
    """
    parts = [f"# Results of the suite {suite}", "\n".join(f"* {note}" for note in notes)]
    if not rows:
        return "\n\n".join([*parts, "No run is complete yet."]) + "\n"
    reference = published(paper) if paper else None
    if is_mixed(rows):
        parts += task_pages.sections(rows, against, searches)
    else:
        tasks = max(len({row.task for row in rows if row.method == method}) for method in {row.method for row in rows})
        metric = rows[0].metric
        legend = _LEGEND.format(metric=metric, tasks=count(tasks, "task"), words=METRICS[metric].words)
        parts += ["## Methods", _table(rows, reference), legend]
    if reference is not None and reference.others:
        listed = ", ".join(f"{name} {value}" for name, value in reference.others.items())
        parts += [f"The paper quotes for others, with noise: {listed}."]
    if any(one.scores for own in searches.values() for one in own):
        parts += ["## The search", _search_table(rows, searches), _SEARCH_LEGEND]
    parts += generic_tables.sections({row.method: row.title for row in rows}, searches)
    for file, caption in figures:
        parts += [f"![{caption}]({file})", caption]
    return "\n\n".join(parts) + "\n"


def is_mixed(rows: Sequence[ValueRow]) -> bool:
    """Whether tasks have different metrics, so that there is no mean over them."""
    return len({row.metric for row in rows}) > 1


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper, its cells as they are printed.

    Attributes:
      methods: by our names.
      others: of other authors, which the paper quotes.
    """

    methods: Mapping[str, str]
    others: Mapping[str, str] = field(default_factory=dict)


def published(paper: str) -> PaperTable:
    """The paper's numbers of a table."""
    file = "muir_tables.json"
    tables = codec.loads(resources.files("munet").joinpath("assets", file).read_bytes(), file)
    return codec.from_json(PaperTable, cast(Any, tables)[paper], file)


def brief(rows: Sequence[ValueRow]) -> list[str]:
    """For the terminal, a line for each method."""
    if not rows:
        return []
    if is_mixed(rows):
        return task_pages.brief(rows)
    titles = {row.method: row.title for row in rows}
    width = max(map(len, titles.values()))
    ends, bests = (spreads(rows, version) for version in VERSIONS)

    def line(name: str, title: str) -> str:
        end, best = ends[name], bests[name]
        return (
            f"  {title:{width}}  at the end {with_error(end)}, median {end.median:.4f}; of the best validation loss "
            f"{with_error(best)}, median {best.median:.4f}; {count(len(end.values), 'seed')}"
        )

    return [
        f"mean test {rows[0].metric} over tasks, {METRICS[rows[0].metric].words}; seeds' mean ± standard error, and "
        "median:",
        *(line(name, title) for name, title in titles.items()),
    ]


def seeds_table(rows: Sequence[ValueRow]) -> str:
    """results.csv: a line for each method, seed and metric, means over the tasks that have it."""
    grouped: dict[tuple[str, int, str], list[ValueRow]] = {}
    for row in rows:
        grouped.setdefault((row.method, row.seed, row.metric), []).append(row)
    means = ("end", "best", "end_validation_loss", "best_validation_loss")
    lines: list[Sequence[object]] = [
        ("method", "title", "seed", "tasks", "metric", *means, "best_round", "num_modules", "run_seconds")
    ]
    for (method, seed, _), own in grouped.items():
        values = [math.fsum(getattr(row, name) for row in own) / len(own) for name in means]
        first = own[0]
        lines.append(
            (method, first.title, seed, len(own), first.metric, *values, first.best_round, first.num_modules,
             first.run_seconds)
        )  # fmt: skip
    return csv_files.text(lines)


def tasks_table(rows: Sequence[ValueRow]) -> str:
    """results_tasks.csv: all rows."""
    names = [item.name for item in dataclasses.fields(ValueRow) if item.name not in ("title", "run_seconds")]
    return csv_files.text([names, *([getattr(row, name) for name in names] for row in rows)])


def with_error(sample: Sample) -> str:
    """`0.380 ± 0.004`: the mean and its standard error; without one of a single seed."""
    return f"{sample.mean:.3f}" + ("" if sample.error is None else f" ± {sample.error:.3f}")


def _table(rows: Sequence[ValueRow], reference: PaperTable | None) -> str:
    titles = {row.method: row.title for row in rows}
    seconds = {row.method: row.run_seconds for row in rows}
    by_version = [spreads(rows, version) for version in VERSIONS]
    head = ["method", "seeds", *(f"{words}{part}" for words in VERSIONS.values() for part in ("", ", median"))]
    head += ["the paper"] if reference else []
    body = []
    for name, title in titles.items():
        cells = [title, str(len(by_version[0][name].values))]
        for found in by_version:
            cells += [with_error(found[name]), f"{found[name].median:.4f}"]
        cells += [reference.methods.get(name, "-")] if reference else []
        body.append([*cells, f"{seconds[name]:.0f}"])
    return markdown_table([*head, "seconds"], body)


def _search_table(rows: Sequence[ValueRow], searches: Mapping[str, Sequence[Search]]) -> str:
    titles = {row.method: row.title for row in rows}
    body = []
    for method, own in searches.items():
        if not any(one.scores for one in own):
            continue
        names = own[0].tasks  # other methods may have others
        firsts = sorted(one.first_full for one in own if one.first_full is not None)
        leavers: Counter[int] = sum((one.leavers() for one in own), Counter())
        found = f"{statistics.median(firsts):g} ({firsts[0]} to {firsts[-1]})" if firsts else "-"
        shares = [share for one in own if (share := one.share_full) is not None]
        most = ", ".join(f"{names[at].rpartition('/')[2]} ({times})" for at, times in leavers.most_common(5))
        body.append(
            [
                titles[method],
                f"{len(firsts)} of {len(own)}",
                found,
                f"{sum(shares) / len(shares):.0%}" if shares else "-",
                f"{sum(one.scores[-1] == one.mappings.shape[1] for one in own)} of {len(own)}",
                most or "-",
            ]
        )
    return markdown_table(["method", "reach it", "found", "later generations", "have it at the end", "leavers"], body)
