"""Quality: how good a model is on a labelled set, as the integers it was counted from.

Two metrics: accuracy, and balanced accuracy, the mean over the classes that have counted images of the share of their
images that is right. Both are exact: integers are stored, ratios are compared as fractions, and rounding to a float
happens once, on the host. For balanced accuracy the counts of every class would be much to keep for every cycle of
every child; classes of equal size are interchangeable, so their counts are added up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal

Metric = Literal["accuracy", "balanced_accuracy"]


@dataclass(frozen=True)
class Stratum:
    """The classes that have equally many counted images.

    Attributes:
      size: counted images of each of these classes, at least 1.
      classes: how many classes.
      correct: how many of their `size * classes` images are right.
    """

    size: int
    classes: int
    correct: int


@dataclass(frozen=True)
class Quality:
    """How many of the counted images are right; for balanced accuracy also by size of class.

    Attributes:
      correct, counted: images, all classes together.
      strata: by increasing size; empty where the metric is accuracy, and then not written either.
    """

    correct: int
    counted: int
    strata: tuple[Stratum, ...] = field(default=(), metadata={"omit_default": True})

    @cached_property
    def ratio(self) -> Fraction:
        """The quality in [0, 1], exactly; compare this and not `value`, which is rounded."""
        if not self.strata:
            return Fraction(self.correct, self.counted)
        recalls = sum((Fraction(stratum.correct, stratum.size) for stratum in self.strata), start=Fraction(0))
        return recalls / sum(stratum.classes for stratum in self.strata)

    @property
    def value(self) -> float:
        """The quality in [0, 1], correctly rounded: equal on every platform."""
        return float(self.ratio)

    @property
    def metric(self) -> Metric:
        """The metric that `value` is a value of."""
        return "balanced_accuracy" if self.strata else "accuracy"

    @property
    def accuracy(self) -> float:
        """The share of all counted images that is right, whatever the metric."""
        return self.correct / self.counted


def quality_of(metric: str, correct_per_class: Sequence[int], counted_per_class: Sequence[int]) -> Quality:
    """The quality that counts by class give; a class without counted images does not take part.

    Args:
      metric: `accuracy` or `balanced_accuracy`.
      correct_per_class, counted_per_class: images, equally long.
    """
    by_size: dict[int, list[int]] = {}
    for correct, counted in zip(correct_per_class, counted_per_class, strict=True):
        by_size.setdefault(counted, []).append(correct)
    strata = (Stratum(size, len(by_size[size]), sum(by_size[size])) for size in sorted(by_size) if size)
    return Quality(sum(correct_per_class), sum(counted_per_class), () if metric == "accuracy" else tuple(strata))


def standard_error(quality: Quality) -> float:
    """The binomial standard error of a quality: how far it lies from that on endless images, about.

    Half an image is added to the right ones and to the wrong ones, so that a flawless result has an error, too. Of a
    balanced quality it is that of plain accuracy on as many images, less than its own where small classes are hard:
    runs choose versions by it, and go on as they began. What people are shown has `munet.intervals`.
    """
    share = (quality.value * quality.counted + 0.5) / (quality.counted + 1)
    return math.sqrt(share * (1 - share) / (quality.counted + 1))


def least_compressed(quality: Quality, tolerance: float | None) -> Fraction:
    """The lowest quality that a compressed model may have.

    Args:
      quality: of the uncompressed one, on the same images.
      tolerance: points (hundredths) that it may lose; None: one standard error of the quality.
    """
    lost = _plain_error(quality) if tolerance is None else tolerance / 100
    return quality.ratio - Fraction(lost)


def _plain_error(quality: Quality) -> float:
    """Of the quality as an estimate, by the binomial distribution of each class (balanced) or of all images."""
    if not quality.strata:
        return math.sqrt(quality.accuracy * (1 - quality.accuracy) / quality.counted)
    classes = sum(stratum.classes for stratum in quality.strata)
    shares = [(stratum, stratum.correct / (stratum.size * stratum.classes)) for stratum in quality.strata]
    return math.sqrt(sum(s.classes * share * (1 - share) / s.size for s, share in shares)) / classes


def metric_words(metric: str) -> str:
    """The metric for people: `accuracy`, `balanced accuracy`."""
    return metric.replace("_", " ")
