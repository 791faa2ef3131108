"""Heads of new tasks from the class means of frozen features (`experiment.new_heads`), instead of zeros.

The head that tells classes of equal round Gaussians apart: a linear function of the distances to their means. How sharp
it is follows from the same images, each judged by means that were made without it. Training images only, as they are,
not augmented; the passes are counted with the child's training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from munet import rng
from munet.data.splits import Split, rank_in_class
from munet.evolution.schedule import as_images
from munet.training import assemble
from munet.training.assemble import FlatArrays, Load
from munet.training.batches.stream import Resize, evaluation_batches
from munet.training.measure.trunk_fit import class_tokens, squared_distances, trunk_of
from munet.training.work import TaskWork
from munet.types import ChildPlan, ModelId
from munet.vit.architecture import HEAD

NUM_IMAGES = 1024  # of the training set, or two for each class if that is more
_SHARPNESS = tuple(2.0**power for power in range(-1, 10))  # over the mean squared distance in a class, to try


class Heads:
    """The heads that the children of a phase start from; trunks and images are looked at once.

    Args:
      work: of the active task.
      train: its training images.
      load: arrays of a published component.
      path: of the draw of images.
    """

    def __init__(self, work: TaskWork, train: Split, load: Load, path: rng.Path):
        self._work, self._load = work, load
        drawn = _draw(train.labels, path, max(NUM_IMAGES, 2 * work.num_classes))
        self._images = Split(train.images[drawn], train.labels[drawn])
        self._found: dict[tuple[tuple[str, str], ...], FlatArrays] = {}
        self._cost: dict[ModelId, int] = {}

    def of(self, children: Iterable[ChildPlan]) -> dict[ModelId, FlatArrays]:
        """The head of every child that has a new one."""
        return {child.id: self._head(child) for child in children if _has_new_head(child)}

    def cost(self, child: ModelId) -> int:
        """Training images that cost as much as the passes made for a child: the first one of its trunk."""
        return self._cost.get(child, 0)

    def _head(self, child: ChildPlan) -> FlatArrays:
        trunk = trunk_of(child)
        if trunk not in self._found:
            self._cost[child.id] = as_images(len(self._images.labels))
            components = {
                plan.name: assemble.component_arrays(child, plan, self._work, self._load)
                for plan in child.components
                if plan.name != HEAD
            }
            size = int(child.hyperparameters["image_size"])
            pieces = list(evaluation_batches(self._images, Resize(size, self._work.antialias)))
            features = class_tokens(self._work, components, child.hyperparameters, pieces)
            self._found[trunk] = head(features, self._images.labels, self._work.num_classes)
        return self._found[trunk]


def _has_new_head(child: ChildPlan) -> bool:
    return any(plan.name == HEAD and plan.action == "init" for plan in child.components)


def _draw(labels: Int[np.ndarray, " n"], path: rng.Path, count: int) -> Int[np.ndarray, " drawn"]:
    """Some images, all classes alike as far as they have images."""
    order = rng.permutation((*path, "class means"), len(labels))
    rounds = np.argsort(rank_in_class(labels[order]), kind="stable")
    return np.sort(order[rounds][:count])


def head(
    features: Float[np.ndarray, "n width"], labels: Int[np.ndarray, " n"], num_classes: int
) -> Mapping[str, Float[np.ndarray, "..."]]:
    """The head's arrays; zeros where features are not finite. A class without images has the mean of all classes.

    Args:
      features: of the images.
      labels: of the images.
      num_classes: outputs of the head.
    """
    width = features.shape[1]
    if not np.isfinite(features).all():
        return {"bias": np.zeros(num_classes, np.float32), "kernel": np.zeros((width, num_classes), np.float32)}
    x = features.astype(np.float64)  # so that no sum's order decides
    present, own = np.unique(labels, return_inverse=True)
    distances, means, has_others = squared_distances(x, own)
    sharpness = _best_sharpness(distances[has_others], own[has_others]) if has_others.any() else 0.0
    centre = means.mean(axis=0)
    all_means = np.tile(centre, (num_classes, 1))
    all_means[present] = means
    shifted = all_means - centre
    # -sharpness / 2 * squared distance, less what is the same for all classes.
    kernel = sharpness * shifted.T
    bias = -0.5 * sharpness * ((all_means**2).sum(axis=1) - (centre**2).sum())
    return {"bias": bias.astype(np.float32), "kernel": kernel.astype(np.float32)}


def _best_sharpness(distances: Float[np.ndarray, "n classes"], own: Sequence[int] | Int[np.ndarray, " n"]) -> float:
    """The factor of -distance / 2 with which the images are most likely to be of their classes."""
    rows = np.arange(len(own))
    within = float(distances[rows, own].mean()) or 1.0

    def loss(sharpness: float) -> float:
        logits = -0.5 * sharpness * distances
        logits -= logits.max(axis=1, keepdims=True)
        return float((np.log(np.exp(logits).sum(axis=1)) - logits[rows, own]).mean())

    return min((factor / within for factor in _SHARPNESS), key=loss)
