"""How well the trunk of a seed parent fits a new task, without training anything (`experiment.seed_choice`).

A seed child trains a head on frozen features. Here these features, of a few hundred training images, are asked how
well they tell the classes apart: whether each image, left out, is nearest to the mean of its own class. Validation and
test images are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from munet import rng
from munet.data.splits import Split, rank_in_class
from munet.data.tasks import Task
from munet.training import assemble
from munet.training.assemble import FlatArrays, Load
from munet.training.batches.stream import LabelledBatches, Resize, evaluation_batches
from munet.training.measure.one_model import OneModel
from munet.training.program import programs, signature
from munet.training.work import TaskWork
from munet.types import ChildPlan, ComponentId, ComponentName, Hyperparameters, ModelId, Position
from munet.vit.architecture import HEAD

MAX_IMAGES = 512  # of the training set, that an estimate looks at
MIN_PER_CLASS = 4  # of them a class, where it has so many: of a task with more classes only some are looked at


def measure(
    work: TaskWork,
    candidates: Sequence[ChildPlan],
    task: Task,
    position: Position,
    load: Load,
) -> tuple[dict[ModelId, float], int]:
    """The fit of every candidate's parent, in [0, 1], and how many images passed through a trunk for that.

    Trunks that several of them share are looked at once.

    Trunks are looked at one after the other, so that one at a time is in memory.

    Args:
      work: of the active task.
      candidates: the seed children that are to be chosen from: what they share, and at which image size.
      task: the active task.
      position: the beginning of its phase.
      load: arrays of a published component.
    """
    train = task.split("train")
    drawn = draw(train.labels, (work.seed, position.task_iteration, task.info.name, "fit"))
    if not len(drawn):  # no class has two images: all fit alike
        return {child.parent: 0.0 for child in candidates}, 0
    images = Split(train.images[drawn], train.labels[drawn])
    by_trunk: dict[tuple[tuple[str, str], ...], list[ChildPlan]] = {}
    for child in candidates:
        by_trunk.setdefault(trunk_of(child), []).append(child)
    found: dict[ModelId, float] = {}
    held: dict[ComponentId, FlatArrays] = {}
    pieces: dict[int, list[LabelledBatches]] = {}
    for _, children in sorted(by_trunk.items()):  # neighbours in this order share most
        child = children[0]
        size = int(child.hyperparameters["image_size"])
        if size not in pieces:
            pieces = {size: list(evaluation_batches(images, Resize(size, work.antialias)))}
        sources = {plan.source for plan in child.components if plan.source and plan.name != HEAD}
        held = {source: held[source] if source in held else load(source) for source in sources}
        components = _components(work, child, held)
        tokens = class_tokens(work, components, child.hyperparameters, pieces[size])
        value = leave_one_out(tokens, images.labels)
        found |= {child.parent: value for child in children}
    return {child.parent: found[child.parent] for child in candidates}, len(drawn) * len(by_trunk)


def trunk_of(child: ChildPlan) -> tuple[tuple[str, str], ...]:
    """What decides a child's features: equal for equal trunks."""
    size = ("image_size", f"{child.hyperparameters['image_size']:05}")
    return (size, *((plan.name, plan.source or "") for plan in child.components if plan.name != HEAD))


def _components(
    work: TaskWork, child: ChildPlan, held: Mapping[ComponentId, FlatArrays]
) -> dict[ComponentName, FlatArrays]:
    """The arrays of a child's trunk, its position embedding at its own image size."""
    return {
        plan.name: assemble.component_arrays(child, plan, work, held.__getitem__)
        for plan in child.components
        if plan.name != HEAD
    }


def draw(
    labels: Int[np.ndarray, " n"], path: rng.Path, max_images: int = MAX_IMAGES, min_per_class: int = MIN_PER_CLASS
) -> Int[np.ndarray, " drawn"]:
    """Some images, all classes alike as far as they have images; a class with one image is left out.

    Args:
      labels: of the training set.
      path: of the draw.
      max_images: how many at most.
      min_per_class: where there are too many classes for this, only some of them are drawn.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    classes = classes[sizes > 1]
    classes = classes[rng.permutation((*path, "classes"), len(classes))][: max(max_images // min_per_class, 2)]
    order = rng.permutation((*path, "images"), len(labels))
    order = order[np.isin(labels[order], classes)]
    rank = rank_in_class(labels[order])
    place = np.empty(labels.max() + 1, np.int64)
    place[classes] = np.arange(len(classes))
    rounds = np.lexsort((place[labels[order]], rank))  # the first image of every class, then the second, ...
    return np.sort(order[rounds][:max_images])


def class_tokens(
    work: TaskWork,
    components: Mapping[ComponentName, FlatArrays],
    hyperparameters: Hyperparameters,
    pieces: Sequence[LabelledBatches],
) -> Float[np.ndarray, "n width"]:
    """The class token of every image after the final norm: what a head would be given.

    Args:
      work: of any task of the run (the architecture matters); features are float32 everywhere.
      components: unpadded arrays by component name; a head is left out.
      hyperparameters: the model's (image size and adapter width matter).
      pieces: the images, at that size.
    """
    trunk = {name: arrays for name, arrays in components.items() if name != HEAD}
    own = signature.of_model(trunk, hyperparameters, replace(work, num_classes=1, dtype="float32"))
    model = OneModel(own, trunk, hyperparameters, num_classes=1)
    return np.concatenate(
        [
            np.asarray(tokens[0]).reshape(-1, tokens.shape[-1])[: piece.counted]
            for piece, tokens in model.over(programs.features_program(own, model.mesh), pieces)
        ]
    )


def leave_one_out(features: Float[np.ndarray, "n width"], labels: Int[np.ndarray, " n"]) -> float:
    """The share of the images that are nearest to the mean of their own class, which is made without them.

    Args:
      features: of the images; where they are not finite, no image counts.
      labels: every class has two images or more.
    """
    if not np.isfinite(features).all():
        return 0.0
    own = np.unique(labels, return_inverse=True)[1]
    distances, _, _ = squared_distances(features.astype(np.float64), own)  # so that no sum's order decides
    return float((distances.argmin(axis=1) == own).mean())


def squared_distances(
    features: Float[np.ndarray, "n width"], own: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n classes"], Float[np.ndarray, "classes width"], Bool[np.ndarray, " n"]]:
    """Squared distances to the means of the classes, that of an image's own class being made without the image.

    Args:
      features: of the images, in float64.
      own: the class of each, numbered without gaps.

    Returns:
      The distances, the means of all images of each class, and whether an image's class has others; where it has none,
      its distance to it is that to itself, 0.
    """
    sizes = np.bincount(own)
    sums = np.zeros((len(sizes), features.shape[1]))
    np.add.at(sums, own, features)
    means = sums / sizes[:, None]
    rows = np.arange(len(features))
    distances = (means**2).sum(axis=1) - 2 * features @ means.T + (features**2).sum(axis=1)[:, None]
    others = sizes[own] - 1
    without = np.where(others[:, None], sums[own] - features, features) / np.maximum(others, 1)[:, None]
    distances[rows, own] = ((features - without) ** 2).sum(axis=1)
    return distances, means, others > 0
