"""How sure a measured quality is: 95 % intervals from integer counts, of one quality and of the difference of two.

All of them say what other test images of the kind would give; other seeds may move a result further, and no several
comparisons are corrected for. A quality's interval is Wilson's. Two models on the same images are compared image by
image: only those that one has right and the other wrong say which is better (Bonett and Price's interval). Where it is
not known which images those are, the two intervals are taken together (Newcombe), which is wider than need be.

Balanced accuracy weighs images by class, so one is as sure as its small classes are: their own shares count, not the
mean's. It is as sure as plain accuracy on `effective_images` images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool

from munet.quality import Quality, Stratum

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

Interval = tuple[float, float]


def wilson(share: float, images: float) -> Interval:
    """Wilson's interval of a share of `images`, in [0, 1]; it holds the share itself."""
    centre = (share + _Z**2 / (2 * images)) / (1 + _Z**2 / images)
    margin = _Z / (1 + _Z**2 / images) * math.sqrt(share * (1 - share) / images + _Z**2 / (4 * images**2))
    return max(min(centre - margin, share), 0.0), min(max(centre + margin, share), 1.0)


def of_quality(quality: Quality) -> Interval:
    """The interval of a quality's value, by its metric."""
    return wilson(quality.value, effective_images(quality))


def of_accuracy(quality: Quality) -> Interval:
    """The interval of the plain accuracy, whatever the metric."""
    return wilson(quality.accuracy, quality.counted)


def effective_images(quality: Quality) -> float:
    """Images whose plain accuracy would be as sure: those counted, or fewer where small classes weigh as large ones.

    The variance of a balanced accuracy is the sum of those of its classes. Of each size one right and one wrong image
    more are counted, so that a small class that is right throughout is not right for sure; in the variance and in the
    accuracy that it belongs to, or an accuracy near 1 would seem to be one of a few images.
    """
    if len(quality.strata) <= 1:
        return float(quality.counted)
    classes = sum(stratum.classes for stratum in quality.strata)
    at_equal_shares = classes**2 / math.fsum(stratum.classes / stratum.size for stratum in quality.strata)
    variance = math.fsum(_variance(stratum) for stratum in quality.strata) / classes**2
    share = math.fsum(stratum.classes * _share(stratum) for stratum in quality.strata) / classes
    return min(share * (1 - share) / variance, at_equal_shares)


def _share(stratum: Stratum) -> float:
    """Of its images that are right, one right and one wrong more."""
    return (stratum.correct + 1) / (stratum.size * stratum.classes + 2)


def _variance(stratum: Stratum) -> float:
    """Of the sum of the shares of its classes."""
    share = _share(stratum)
    return stratum.classes * share * (1 - share) / stratum.size


def of_difference(first: float, second: float, first_interval: Interval, second_interval: Interval) -> Interval:
    """The interval of `first - second` from those of both, as if they had been measured on different images."""
    low = math.hypot(first - first_interval[0], second_interval[1] - second)
    high = math.hypot(first_interval[1] - first, second - second_interval[0])
    return first - second - low, first - second + high


def of_mean(values: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """The interval of the mean of values that were measured on different images, e.g. of several tasks."""
    mean = math.fsum(values) / len(values)
    low = math.hypot(*(value - interval[0] for value, interval in zip(values, intervals, strict=True)))
    high = math.hypot(*(interval[1] - value for value, interval in zip(values, intervals, strict=True)))
    return mean - low / len(values), mean + high / len(values)


def of_paired_difference(
    first: Bool[np.ndarray, " images"],
    second: Bool[np.ndarray, " images"],
    counted_per_class: Sequence[int],
    metric: str = "accuracy",
) -> Interval:
    """The interval of the difference of two models' qualities on the same images.

    Args:
      first, second: which images each has right, class by class.
      counted_per_class: images of each class, in that order.
      metric: `accuracy` or `balanced_accuracy`.
    """
    counted = np.array([number for number in counted_per_class if number])
    if metric == "accuracy":
        counted = counted.sum(keepdims=True)  # as one class
    ends = np.cumsum(counted)[:-1]
    wins, losses = (
        np.array([part.sum() for part in np.split(chosen, ends)]) for chosen in (first & ~second, second & ~first)
    )
    # One image more for each side, so that two models that agree everywhere are not equal for sure: of all classes
    # together for the difference, of those of a size for its variance. One more in each class would draw the difference
    # over many small classes towards zero.
    images = len(counted) ** 2 / float((1 / counted).sum())
    kept = images / (images + 2)
    difference = kept * float(((wins - losses) / counted).mean())
    variance = 0.0
    for size in np.unique(counted):
        own = counted == size
        classes, total = int(own.sum()), int(counted[own].sum())
        better, worse = (float(wins[own].sum()) + 1) / (total + 2), (float(losses[own].sum()) + 1) / (total + 2)
        variance += classes**2 * (better + worse - (better - worse) ** 2) / total
    margin = _Z * math.sqrt(kept * variance) / len(counted)
    return max(difference - margin, -1.0), min(difference + margin, 1.0)


def tells_apart(interval: Interval) -> bool:
    """Whether a difference's interval leaves zero out: then, and only then, the two are told apart."""
    return not interval[0] <= 0 <= interval[1]
