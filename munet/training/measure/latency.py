"""How long a forward pass takes on the device, for scores that count latency (`experiment.latency_factor`).

One image at a time, in a program of the model's own structure, without the padding of training programs: as a deployed
model would answer. Weights do not matter and are zero. The least of several rounds is taken, since whatever else a
machine does only adds, and rounded to two digits, since the rest is noise.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from functools import partial

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from munet import accelerators
from munet.config import Experiment
from munet.evolution import costs
from munet.evolution.search_space import default_hyperparameters
from munet.training.placement.chunks import Placed
from munet.training.program import precision
from munet.types import ComponentName, Hyperparameters, ModelId
from munet.vit import architecture, forward
from munet.vit.architecture import CHANNELS

_ROUNDS, _CALLS = 10, 10


def of_root(experiment: Experiment) -> float | None:
    """Seconds an image of what latencies are compared with, the root with a 2-class head; None where none counts."""
    if experiment.latency_factor == 1:
        return None
    names = architecture.path_names(experiment.num_blocks)
    return measure(experiment, names, default_hyperparameters(experiment), costs.ROOT_CLASSES)


def of_children(experiment: Experiment, placed: Placed, known: Mapping[str, float]) -> dict[ModelId, float]:
    """Seconds an image of each child of a generation.

    Args:
      experiment: the run's.
      placed: the generation.
      known: latencies that the journal has, by `costs.structure`; a structure is measured once a run.
    """
    by_structure = dict(known)
    result: dict[ModelId, float] = {}
    for child in placed.generation.children:
        names = [plan.name for plan in child.components]
        key = costs.structure(names, child.hyperparameters, placed.work.num_classes)
        if key not in by_structure:
            by_structure[key] = measure(experiment, names, child.hyperparameters, placed.work.num_classes)
        result[child.id] = by_structure[key]
    return result


def measure(
    experiment: Experiment, names: Collection[ComponentName], hyperparameters: Hyperparameters, num_classes: int
) -> float:
    """Seconds that one image takes on the first device, rounded to two digits; compiles a program."""
    variant = architecture.get_variant(experiment.variant)
    size, num_blocks = int(hyperparameters["image_size"]), sum(map(architecture.is_block, names))
    leaves = {name: architecture.model_leaves(variant, name, hyperparameters, num_classes) for name in names}
    params = {
        name: unflatten_dict({path: np.zeros(leaf.shape, leaf.dtype) for path, leaf in arrays.items()}, sep="/")
        for name, arrays in leaves.items()
    }
    dtype = precision.compute_dtype(experiment)
    program = jax.jit(partial(forward.logits, variant, num_blocks=num_blocks, dtype=dtype))
    image = np.zeros((1, size, size, CHANNELS), np.float32)
    arguments = jax.device_put((params, image), accelerators.local_devices()[0])
    jax.block_until_ready(program(*arguments))
    rounds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_CALLS):
            jax.block_until_ready(program(*arguments))
        rounds.append((time.perf_counter() - started) / _CALLS)
    return rounded(min(rounds))


def rounded(seconds: float) -> float:
    """A time to two significant digits: the rest is noise."""
    return float(f"{seconds:.1e}")
