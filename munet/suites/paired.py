"""Is one method better than another? Differences paired by seed and task, with confidence intervals.

The unit is the run: for each seed that both methods have, the difference of their mean test accuracies over the tasks
that both have. `interval` is Student's t over those seeds: it says what other seeds would give on these very tasks.
`wider` resamples seeds and tasks, both with replacement (percentile bootstrap, 10,000 draws of a fixed stream): what
other seeds and other tasks of the kind would give. Neither corrects for comparing several methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from munet import rng
from munet.suites.rows import Row

CONFIDENCE = 0.95
_DRAWS = 10_000

Interval = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """One method against another; accuracies as fractions.

    Attributes:
      method, title: who is compared.
      difference: mean over seeds of the mean difference over tasks; None without a common pair.
      num_seeds, num_tasks: that both have.
      interval: t interval over seeds; None for fewer than two seeds.
      wider: bootstrap over seeds and tasks; None for fewer than two seeds or two tasks.
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
        t_interval(by_seed) if len(seeds) > 1 else None,
        _bootstrap(table, method) if len(seeds) > 1 and len(tasks) > 1 else None,
        int((table > 0).sum()),
        int((table == 0).sum()),
        int((table < 0).sum()),
    )


def t_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of a mean."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    margin = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return mean - margin, mean + margin


def _bootstrap(table: np.ndarray, method: str) -> Interval:
    """Percentiles of the mean over resampled seeds and tasks."""
    num_seeds, num_tasks = table.shape
    words = np.random.Philox(key=int.from_bytes(rng.digest(("bootstrap", method))[:16], "big"))
    draws = words.random_raw(_DRAWS * (num_seeds + num_tasks)).reshape(_DRAWS, -1) >> np.uint64(11)
    uniform = draws.astype(np.float64) / (1 << 53)
    seeds = (uniform[:, :num_seeds] * num_seeds).astype(np.int64)
    tasks = (uniform[:, num_seeds:] * num_tasks).astype(np.int64)
    means = table[seeds[:, :, None], tasks[:, None, :]].mean(axis=(1, 2))
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
