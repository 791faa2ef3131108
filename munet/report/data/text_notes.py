"""What `munet data text:PATH` says: what a symbol is, how many there are, which are frequent, how hard they are."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from munet.data.splits import Split
from munet.data.tasks import Task
from munet.methods.muir.metrics import METRIC_OF_UNIT, METRICS
from munet.text import count

_SHOWN = 6  # frequent symbols


def text_lines(task: Task) -> list[str]:
    """A text in a few lines, for people."""
    info, unit = task.info, task.source.unit
    seen = _counts(task.split("train"), info.num_classes)
    with task.testing():
        others = [(name, _counts(task.split(name), info.num_classes)) for name in ("validation", "test")]  # type: ignore[arg-type]  # names
    lacks = "training has all symbols"
    if missing := int((seen == 0).sum()):
        unseen = ", ".join(f"{own[seen == 0].sum():,} of {own.sum():,} in {name}" for name, own in others)
        lacks = f"{count(missing, 'symbol is', 'symbols are')} not in training and cannot be learnt: {unseen}"
    frequent = np.argsort(-seen, kind="stable")[:_SHOWN]
    shares = ", ".join(f"{info.class_names[at]} {seen[at] / seen.sum():.1%}" for at in frequent)
    name = METRIC_OF_UNIT[unit]
    metric = METRICS[name]
    quality = "-" if metric.of_loss is None else metric.text(metric.of_loss(_cross_entropy(seen, others[0][1])))
    return [
        f"{info.uri}: a text by {unit}, {info.num_classes:,} different ones. There are {info.num_train:,} to predict "
        f"in training, {info.num_validation:,} in validation, {info.num_test:,} in the test.",
        f"  Most frequent: {shares}; {lacks}.",
        f"  Predicting each as often as it occurs in training gives in validation: {name} {quality}, "
        f"{metric.words}. `munet train --config=muir:...` learns it.",
    ]


def _counts(split: Split, num_symbols: int) -> Int[np.ndarray, " symbols"]:
    """How often each symbol is to be predicted."""
    return np.bincount(split.labels, minlength=num_symbols)


def _cross_entropy(seen: Int[np.ndarray, " symbols"], wanted: Int[np.ndarray, " symbols"]) -> float:
    """In nats, of predicting each symbol as often as it was seen; all of them once more, or some were impossible."""
    shares: Float[np.ndarray, " symbols"] = (seen + 1) / (seen.sum() + len(seen))
    return float(-(wanted * np.log(shares)).sum() / wanted.sum())
