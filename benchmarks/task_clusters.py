"""How well three ways of seeing tasks tell data sets apart: routed rows, an evolved system's sharing, frozen features.

    python -m benchmarks.task_clusters [WORKDIR ...] [--root=demo] [--data_dir=DIR] [--images=256]

Every work directory is a routed training (as of `munet train --config=gumbel:clusters_small`; cosines of rows, seed
by seed) or a run of `munet evolve` on the same tasks (cosines of which components they are made of, but for heads,
which nobody shares). With `--root` also the frozen features of a root: cosines of the tasks' mean features of up to so
many training images, less the mean of all tasks; the tasks are those of `gumbel:clusters_small`. A task's group is the
data set that it is made from. Prints one JSON line a way: mean silhouette and adjusted Rand index (see
`munet/methods/gumbel_matrix/clustering.py`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import munet
from munet import kinds
from munet.config.files import load_any_config
from munet.data.augment import prepare
from munet.data.open_settings import OpenSettings
from munet.data.tasks import Task, load_tasks
from munet.methods.gumbel_matrix.clustering import cosines, separation
from munet.suites.routing_rows import groups
from munet.system import view
from munet.system.routed import open_routed
from munet.system.view import RunView
from munet.types import TaskInfo
from munet.vit.architecture import HEAD


def of_system(system: RunView) -> Float[np.ndarray, "tasks components"]:
    """Which components the model of each task is made of."""
    own = [
        {identity for name, identity in system.model(info.name).components.items() if name != HEAD}
        for info in system.tasks
    ]
    every = sorted(set().union(*own))
    return np.array([[float(identity in used) for identity in every] for used in own])


def of_features(tasks: Sequence[Task], root: str, images: int) -> Float[np.ndarray, "tasks width"]:
    """Each task's mean features of a frozen root, less the mean of all tasks."""
    extractor, means = munet.load_root(root), []
    for task in tasks:
        pixels = task.split("train").images[:images]
        means.append(
            np.asarray(extractor.features(np.asarray(prepare(jnp.asarray(pixels), 32, antialias=False)))).mean(axis=0)
        )
    found = np.stack(means)
    return found - found.mean(axis=0)


def main() -> None:
    """Measures every directory, and a root's features."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdirs", nargs="*")
    parser.add_argument("--root", default="")
    parser.add_argument("--data_dir", default="")
    parser.add_argument("--images", type=int, default=256)
    given = parser.parse_args()
    for workdir in given.workdirs:
        found: list[tuple[str, np.ndarray]]
        if (kind := kinds.found(workdir)) is not None and kind.name == "routing":
            opened = open_routed(workdir)
            infos = opened.beginning.tasks
            found = [(f"rows, seed {one.seed}", one.embeddings) for one in opened.result.replicas]
        else:
            system = view.open(workdir)
            infos, found = tuple(system.tasks), [("components in common", of_system(system))]
        for way, vectors in found:
            _tell(way, workdir, vectors, infos)
    if given.root:
        settings = OpenSettings(given.data_dir, max_image_size=32)
        config: Any = load_any_config("gumbel:clusters_small")
        tasks = load_tasks(config.experiment.tasks, settings)
        vectors = of_features(tasks, given.root, given.images)
        _tell("frozen features", given.root, vectors, [task.info for task in tasks])


def _tell(way: str, place: str, vectors: np.ndarray, infos: Sequence[TaskInfo]) -> None:
    found = separation(cosines(vectors), groups(infos))
    line = {"way": way, "of": place, "silhouette": round(found.silhouette, 4), "adjusted_rand": round(found.rand, 4)}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
