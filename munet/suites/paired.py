"""Is one method better than another? Differences paired by seed and task, with confidence intervals.

The unit is the run: for each seed that both methods have, the difference of their mean test accuracies over the tasks
that both have. `interval` is Student's t over those seeds: it says what other seeds would give on these very tasks.
`wider` takes seeds and tasks as two crossed samples: what other seeds and other tasks of the kind would give. Neither
corrects for comparing several methods.

A bootstrap over seeds and tasks would need no distribution, but with the few seeds and tasks of a suite its 95 %
intervals hold the truth in 60 to 90 of 100 cases; tests/suites/test_paired.py counts them for those used here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from munet.intervals import CONFIDENCE, Interval, tells_apart
from munet.suites.rows import Row

_EQUAL = 1e-9  # two differences of shares that are the same but for rounding


@dataclass(frozen=True)
class Comparison:
    """One method against another; accuracies as fractions.

    Attributes:
      method, title: who is compared.
      difference: mean over seeds of the mean difference over tasks; None without a common pair.
      num_seeds, num_tasks: that both have.
      interval: t interval over seeds (`over_seeds`); None where they tell nothing.
      wider: interval over seeds and tasks; None for fewer than two seeds or two tasks.
      won, tied, lost: pairs of seed and task.
    """

    method: str
    title: str
    difference: float | None
    num_seeds: int
    num_tasks: int
    interval: Interval | None
    wider: Interval | None
    won: int
    tied: int
    lost: int


def compare(rows: Sequence[Row], against: str) -> list[Comparison]:
    """Every other method against `against`, in the order of the rows."""
    titles = {row.method: row.title for row in rows}
    return [_compare(rows, name, title, against) for name, title in titles.items() if name != against]


def verdict(comparisons: Sequence[Comparison], against: str) -> str:
    """Which methods are told apart from the one they are compared with, and which are not; "" without any interval.

    Args:
      comparisons: with one method.
      against: that method's title.
    """
    found: dict[bool, list[str]] = {True: [], False: []}
    for item in comparisons:
        if item.interval is not None:
            found[tells_apart(item.interval)].append(item.title)
    sentences = [f"Told apart from {against}: {', '.join(found[True])}."] if found[True] else []
    if found[False]:
        sentences.append(
            f"Not told apart from {against} (the interval over seeds holds zero): {', '.join(found[False])}."
        )
    return " ".join(sentences)


def _compare(rows: Sequence[Row], method: str, title: str, against: str) -> Comparison:
    own = {(row.seed, row.task): row.test_quality for row in rows if row.method == method}
    other = {(row.seed, row.task): row.test_quality for row in rows if row.method == against}
    pairs = [pair for pair in own if pair in other]
    seeds = list(dict.fromkeys(seed for seed, _ in pairs))
    tasks = [task for task in dict.fromkeys(task for _, task in pairs) if all((seed, task) in pairs for seed in seeds)]
    if not seeds or not tasks:
        return Comparison(method, title, None, 0, 0, None, None, 0, 0, 0)
    table = np.array([[own[seed, task] - other[seed, task] for task in tasks] for seed in seeds])
    by_seed = table.mean(axis=1)
    return Comparison(
        method,
        title,
        float(by_seed.mean()),
        len(seeds),
        len(tasks),
        over_seeds(by_seed),
        crossed_interval(table) if len(seeds) > 1 and len(tasks) > 1 else None,
        int((table > 0).sum()),
        int((table == 0).sum()),
        int((table < 0).sum()),
    )


def over_seeds(differences: np.ndarray) -> Interval | None:
    """Student's t interval of a mean difference, a value a seed.

    None of a single seed; and where all seeds have the same difference but zero, which accuracies, being counts, have
    by chance: an interval without width would tell two equal methods apart.
    """
    if len(differences) < 2 or (np.ptp(differences) < _EQUAL and abs(differences[0]) >= _EQUAL):
        return None
    return t_interval(differences)


def t_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of a mean."""
    mean, variance = float(values.mean()), float(values.var(ddof=1)) / len(values)
    return _student(mean, variance, len(values) - 1, confidence)


def crossed_interval(table: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Interval of a mean over two crossed samples: seeds (rows) and tasks (columns), both random.

    With the mean squares of a two-way analysis of variance, the mean's variance is (seeds + tasks - residual) / cells,
    where that is not below one of the first two; the degrees of freedom are Satterthwaite's. Never narrower than the
    interval over seeds alone, which promises less.
    """
    num_seeds, num_tasks = table.shape
    mean = float(table.mean())
    by_seed, by_task = table.mean(axis=1), table.mean(axis=0)
    seeds = num_tasks * float(by_seed.var(ddof=1))
    tasks = num_seeds * float(by_task.var(ddof=1))
    residuals = table - by_seed[:, None] - by_task[None, :] + mean
    residual = float((residuals**2).sum()) / ((num_seeds - 1) * (num_tasks - 1))
    total = max(seeds + tasks - residual, seeds, tasks)
    spread = seeds**2 / (num_seeds - 1) + tasks**2 / (num_tasks - 1)
    if total == seeds + tasks - residual:
        spread += residual**2 / ((num_seeds - 1) * (num_tasks - 1))
    fewest = min(num_seeds, num_tasks) - 1
    freedom = max(total**2 / spread, fewest) if spread > 0 else fewest
    low, high = _student(mean, total / table.size, freedom, confidence)
    over_seeds = t_interval(by_seed, confidence)
    return min(low, over_seeds[0]), max(high, over_seeds[1])


def _student(mean: float, variance: float, freedom: float, confidence: float) -> Interval:
    margin = float(stats.t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(variance)
    return mean - margin, mean + margin
