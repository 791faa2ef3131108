"""How well ways of seeing tasks tell data sets apart: routed rows, an evolved system's sharing, fits, frozen features.

    python -m benchmarks.task_clusters [WORKDIR ...] [--root=demo] [--fits] [--data_dir=DIR] [--images=256]
        [--output=FOLDER]

Every work directory is a routed training (as of `munet train --config=gumbel:clusters_small`; cosines of rows, seed
by seed) or a run of `munet evolve` on the same tasks (cosines and Jaccard indices of which components they are made
of, but for heads, which nobody shares; a run that goes on counts with the tasks that it has). With `--fits` also how
well the frozen trunk of every task's model of such a run fits each task (`munet/training/measure/trunk_fit.py`), on up
to so many training images: cosines of the tasks' rows of fits, less the means of rows and columns, because some tasks
are harder and some trunks better. With `--root` the frozen features of a root: cosines of the tasks' mean features,
less the mean of all tasks; the tasks are those of `gumbel:clusters_small`. A task's group is the data set that it is
made from. Prints one JSON line a way: mean silhouette and adjusted Rand index (see
`munet/methods/gumbel_matrix/clustering.py`), and what each of them stays below in 19 of 20 shufflings of the groups;
into `--output` go the similarities, as `NUMBER.csv` and `NUMBER.svg`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import munet
from munet import kinds
from munet.config.files import load_any_config
from munet.data.augment import prepare
from munet.data.open_settings import OpenSettings
from munet.data.splits import Split
from munet.data.tasks import Task, load_tasks
from munet.methods.gumbel_matrix.clustering import Separation, cosines, jaccards, separation
from munet.report.charts import routing
from munet.report.charts.chart import Chart
from munet.suites import csv_files
from munet.suites.routing_rows import groups
from munet.system import view
from munet.system.routed import open_routed
from munet.system.view import RunView
from munet.training.batches.stream import Resize, evaluation_batches
from munet.training.measure import trunk_fit
from munet.training.work import TaskWork
from munet.types import TaskInfo
from munet.vit.architecture import HEAD

Matrix = Float[np.ndarray, "tasks tasks"]


def of_system(system: RunView) -> Float[np.ndarray, "tasks components"]:
    """Which components the model of each task is made of."""
    own = [
        {identity for name, identity in model.components.items() if name != HEAD} for model in system.models.values()
    ]
    every = sorted(set().union(*own))
    return np.array([[float(identity in used) for identity in every] for used in own])


def of_fits(system: RunView, tasks: Sequence[Task], images: int) -> Float[np.ndarray, "tasks models"]:
    """How well the trunk of each task's model fits each task, less the means of rows and columns; trunks once each."""
    trunks: dict[tuple[str, ...], Any] = {}
    for model in system.models.values():
        ids = {name: identity for name, identity in model.components.items() if name != HEAD}
        trunks.setdefault(tuple(sorted(ids.values())), (ids, model.hyperparameters))
    pieces = []
    for task in tasks:
        train = task.split("train")
        drawn = trunk_fit.draw(train.labels, (0, "task_clusters", task.info.name), images)
        batches = list(evaluation_batches(Split(train.images[drawn], train.labels[drawn]), Resize(32, antialias=False)))
        pieces.append((batches, train.labels[drawn]))
    work = TaskWork.of(system.experiment, system.tasks[0])
    columns = []
    for ids, hyperparameters in trunks.values():
        arrays = {name: system.store.components.load(identity) for name, identity in ids.items()}
        columns.append(
            [
                trunk_fit.leave_one_out(trunk_fit.class_tokens(work, arrays, hyperparameters, batches), labels)
                for batches, labels in pieces
            ]
        )
    found = np.array(columns).T
    return found - found.mean(axis=0) - found.mean(axis=1, keepdims=True) + found.mean()


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


def chance(similarities: Matrix, known: Sequence[str], shuffles: int = 200) -> Separation:
    """What 19 of 20 shufflings of the groups stay below, each number by itself; groups keep their sizes."""
    generator = np.random.Generator(np.random.Philox(0))
    found = [separation(similarities, [known[place] for place in _order(generator, known)]) for _ in range(shuffles)]
    return Separation(
        *(round(float(np.quantile([getattr(one, name) for one in found], 0.95)), 4) for name in ("silhouette", "rand"))
    )


def _order(generator: np.random.Generator, known: Sequence[str]) -> list[int]:
    """A random order; of random words, because these no version of NumPy changes."""
    return np.argsort(generator.bit_generator.random_raw(len(known)), kind="stable").tolist()


def main() -> None:
    """Measures every directory, and a root's features."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdirs", nargs="*")
    parser.add_argument("--root", default="")
    parser.add_argument("--fits", action="store_true")
    parser.add_argument("--data_dir", default="")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--output", default="")
    for number, (way, place, similarities, infos) in enumerate(_ways(parser.parse_args()), 1):
        found = separation(similarities, groups(infos))
        line = {"number": number, "way": way, "of": place, "tasks": len(infos)}
        numbers = {"silhouette": round(found.silhouette, 4), "adjusted_rand": round(found.rand, 4)}
        by_chance = chance(similarities, groups(infos))
        numbers |= {"silhouette_by_chance": by_chance.silhouette, "adjusted_rand_by_chance": by_chance.rand}
        print(json.dumps(line | numbers), flush=True)
        if output := parser.parse_args().output:
            _draw(Path(output), str(number), f"{way}, {Path(place).name}", similarities, infos)


def _ways(given: argparse.Namespace) -> Iterator[tuple[str, str, Matrix, Sequence[TaskInfo]]]:
    tasks: list[Task] = []
    if given.root or given.fits:
        config: Any = load_any_config("gumbel:clusters_small")
        tasks = list(load_tasks(config.experiment.tasks, OpenSettings(given.data_dir, max_image_size=32)))
    for workdir in given.workdirs:
        if (kind := kinds.found(workdir)) is not None and kind.name == "routing":
            opened = open_routed(workdir)
            for one in opened.result.replicas:
                yield f"rows, seed {one.seed}", workdir, cosines(one.embeddings), opened.beginning.tasks
            continue
        system = view.open(workdir)
        infos = [info for info in system.tasks if info.name in system.models]
        used = of_system(system)
        yield "components in common, cosine", workdir, cosines(used), infos
        yield "components in common, Jaccard", workdir, jaccards(used), infos
        if given.fits:
            fits = of_fits(system, tasks, given.images)
            yield "fits of frozen trunks", workdir, cosines(fits), [task.info for task in tasks]
    if given.root:
        features = of_features(tasks, given.root, given.images)
        yield "frozen features", given.root, cosines(features), [task.info for task in tasks]


def _draw(folder: Path, name: str, title: str, similarities: Matrix, infos: Sequence[TaskInfo]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = [info.name for info in infos]
    rows = [[one, *(f"{value:.4f}" for value in row)] for one, row in zip(names, similarities, strict=True)]
    (folder / f"{name}.csv").write_text(csv_files.text([["task", *names], *rows]))
    shown = routing.similarities(names, np.clip(similarities, 0, 1), "similarity")
    (folder / f"{name}.svg").write_bytes(Chart(name, title, "The darker the more similar.", shown).svg())


if __name__ == "__main__":
    main()
