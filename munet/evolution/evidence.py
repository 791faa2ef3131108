"""What earlier races say of settings, pooled over all tasks: a small surrogate in the manner of BOHB and Vizier.

In a race children differ in their settings and train equally long. Each tells how much better or worse than the others
of its race it came out, in standard deviations, and that is booked on every value of its settings, half of it on the
neighbours of an ordered value. The values' means, drawn to zero where there is little evidence, weigh the next draws.
Settings are taken to act independently: with some dozen children a task there is not enough to say more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from munet.config import Experiment
from munet.evolution.search_space import values_of
from munet.quality import Quality, standard_error
from munet.types import Hyperparameters

# By setting: of each value in its list's order, how much evidence there is, and its sum.
Evidence = Mapping[str, tuple[tuple[float, float], ...]]

_PRIOR = 1.5  # children's worth of evidence that a value is like the others
_SHARPNESS = 3.0  # of the weights: a value that is one standard deviation better is drawn e^3 times as often
_UNIFORM = 0.15  # share of the draws that asks no evidence, so that none is final
_MOST = 2.0  # standard deviations that one child can tell
_NEIGHBOUR = 0.5  # of an ordered value's evidence that holds for the next ones, too


def after_race(
    experiment: Experiment,
    evidence: Evidence,
    children: Sequence[tuple[Hyperparameters, Quality | None]],
    names: Iterable[str],
) -> Evidence:
    """The evidence with one more race.

    Args:
      experiment: whose search space the settings are of.
      evidence: of the races before it.
      children: settings and quality of each child; None: it gave no finite result.
      names: the settings that evolve.
    """
    merits = _merits([quality for _, quality in children])
    booked = dict(evidence)
    for name in names:
        values = list(values_of(experiment, name))
        row = [list(entry) for entry in booked.get(name, ((0.0, 0.0),) * len(values))]
        for (settings, _), merit in zip(children, merits, strict=True):
            place = values.index(settings[name])
            for index in range(len(values)):
                share = _share(values, place, index)
                row[index][0] += share
                row[index][1] += share * merit
        booked[name] = tuple((count, total) for count, total in row)
    return booked


def weights(experiment: Experiment, evidence: Evidence, name: str) -> tuple[float, ...]:
    """The probability of each value of a setting, in its list's order; all alike where nothing is known."""
    values = values_of(experiment, name)
    row = evidence.get(name, ((0.0, 0.0),) * len(values))
    raw = [math.exp(_SHARPNESS * total / (count + _PRIOR)) for count, total in row]
    whole = math.fsum(raw)
    return tuple((1 - _UNIFORM) * one / whole + _UNIFORM / len(values) for one in raw)


def _merits(qualities: Sequence[Quality | None]) -> list[float]:
    """How much better than the others each came out; those without a result as the worst of all."""
    found = [quality for quality in qualities if quality is not None]
    if len(qualities) < 2 or not found:
        return [0.0] * len(qualities)
    values = [0.0 if quality is None else quality.value for quality in qualities]
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    # Differences within the error of the measurement are no evidence.
    scale = max(deviation, 2 * max(map(standard_error, found)))
    return [max(min((value - mean) / scale, _MOST), -_MOST) for value in values]


def _share(values: Sequence[object], place: int, index: int) -> float:
    if index == place:
        return 1.0
    is_ordered = len(values) > 2 and all(isinstance(value, int | float) for value in values)
    return _NEIGHBOUR if is_ordered and abs(index - place) == 1 else 0.0
