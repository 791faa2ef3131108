"""The paper's whole character benchmark at 32 pixels, by the clock: with an empty cache, then with a full one.

    python -m benchmarks.character_protocol [--data_dir=DIR] [--root=Ti_16.npz] [--work=DIR]
    python -m benchmarks.character_protocol --scale=0.01 --variant=demo/16      # shrunk, to see that it works

Prints one JSON line. Eight tasks x 2 iterations x 8 generations x 8 children x 5 cycles x up to 100 batches of 512:
293,120 child-steps. The settings are those of `--config=characters` but for the image size, which is fixed. Each of the
two runs is what `munet evolve` does, in a process and a work directory of its own. `cold` begins with an empty cache,
so it decodes the sets and compiles every program; `warm` finds both on disk. `seconds` is all of that process, its
start and reading or making the data included; `before_training_s` is what of it passes until the first generation,
and `stand_ins_s` what of that goes into making the sets that are missing.

Prepared sets in `--data_dir` are used. For those that are missing, others of the same numbers of images, classes and
pixels stand in (`stand_ins` in the line): glyphs that are drawn here, shifted, turned and mirrored. Without `--root`
the root has learnt nothing. Times do not depend on either, but accuracies do: they are comparable to nothing then.

`--scale` below 1 shrinks the stand-ins, and the number of generations, children, cycles, batches and images a batch.
With `--max_minutes` a run ends after that time, and the line says how far it came.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from munet.config import Config
from munet.config.checks import validate
from munet.config.files import load_config
from munet.data.array_task import ArrayTask
from munet.data.builtin import glyphs
from munet.data.open_settings import OpenSettings
from munet.data.tasks import open_task
from munet.data.tfds.missing_sets import MissingSetError
from munet.progress.events import Event, GenerationEnded, GenerationStarted, PhaseEnded, RunStarted
from munet.types import TaskName
from munet.vit import architecture
from munet.vit.augreg import save_augreg
from munet.vit.init import init_root

IMAGE_SIZE = 32
SCRIPTS = ("latin_extended", "ipa", "symbols")  # whose glyphs stand-ins are made of: enough for 1,623 classes
MAX_SHIFT = 2  # pixels at the glyphs' own size


@dataclass(frozen=True)
class Size:
    """A set of the benchmark: its classes, pixels on a side, and images in each split."""

    classes: int
    pixels: int
    train: int
    validation: int
    test: int

    def scaled(self, scale: float) -> Size:
        """Fewer images, of as many classes."""
        few = {name: shrunk(getattr(self, name), scale) for name in ("train", "validation", "test")}
        return dataclasses.replace(self, **few)


SIZES: dict[TaskName, Size] = {
    "emnist/digits": Size(10, 28, 228_000, 12_000, 40_000),
    "emnist/letters": Size(37, 28, 84_360, 4_440, 14_800),
    "kmnist": Size(10, 28, 57_000, 3_000, 10_000),
    "mnist": Size(10, 28, 57_000, 3_000, 10_000),
    "omniglot": Size(1623, 105, 19_280, 2_720, 3_120),
    "cmaterdb/bangla": Size(10, 32, 4_750, 250, 1_000),
    "cmaterdb/devanagari": Size(10, 32, 2_375, 125, 500),
    "cmaterdb/telugu": Size(10, 32, 2_375, 125, 500),
}


def shrunk(value: int, scale: float, least: int = 1) -> int:
    """A number of things at a scale."""
    return min(value, max(least, round(value * scale)))


def settings(scale: float = 1.0, variant: str = "Ti/16") -> Config:
    """The paper's budget at a scale, on the prepared sets, at one image size; places are not set."""
    config = load_config("characters")
    experiment = config.experiment
    experiment.variant = variant
    experiment.search_space.image_size = (IMAGE_SIZE,)
    experiment.num_generations = shrunk(experiment.num_generations, scale)
    experiment.children_per_generation = shrunk(experiment.children_per_generation, scale, least=2)
    experiment.cycles_per_child = shrunk(experiment.cycles_per_child, scale)
    experiment.max_batches_per_cycle = shrunk(experiment.max_batches_per_cycle, scale)
    experiment.batch_size = shrunk(experiment.batch_size, scale, least=32)
    config.runtime.compare = ()
    return config


def stand_in(name: TaskName, size: Size, base: UInt8[np.ndarray, "n 32 32 1"]) -> ArrayTask:
    """A set of that size: class `c` is base image `c % n`, the next turned or mirrored, each image shifted a little.

    Args:
      name: of the set that it stands for; it also seeds the shifts.
      size: how much of everything.
      base: different drawings.
    """
    picked = [base[label % len(base), :, :, 0] for label in range(size.classes)]
    shapes = np.stack([_turned(image, label // len(base)) for label, image in enumerate(picked)])
    places = np.arange(size.pixels) * glyphs.SIZE // size.pixels  # nearest pixel
    shapes = np.pad(shapes, ((0, 0), (MAX_SHIFT, MAX_SHIFT), (MAX_SHIFT, MAX_SHIFT)))
    # Every shifted version of every class, at the set's own size: an image is one of them.
    shifts = [(down, right) for down in range(2 * MAX_SHIFT + 1) for right in range(2 * MAX_SHIFT + 1)]
    random = np.random.default_rng(sorted(SIZES).index(name))

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % size.classes
        images = np.empty((count, size.pixels, size.pixels), np.uint8)
        chosen = random.integers(len(shifts), size=count)
        for index, (down, right) in enumerate(shifts):
            there = np.flatnonzero(chosen == index)
            images[there] = shapes[labels[there]][:, down + places[:, None], right + places]
        return images, labels

    parts = [part(count) for count in (size.train, size.validation, size.test)]
    return ArrayTask(name, *parts[0], list(map(str, range(size.classes))), validation=parts[1], test=parts[2])


def _turned(image: np.ndarray, kind: int) -> np.ndarray:
    """One of eight: four quarter turns, then those of the mirror image."""
    return np.rot90(image if kind % 8 < 4 else image[:, ::-1], kind)


@functools.cache
def base_images() -> UInt8[np.ndarray, "n 32 32 1"]:
    """One drawing of each character of some scripts."""
    rendered = [glyphs.render(script)[:2] for script in SCRIPTS]
    return np.concatenate([images[np.unique(labels, return_index=True)[1]] for images, labels in rendered])


def with_data(config: Config, scale: float) -> dict[TaskName, ArrayTask]:
    """Makes `config.experiment.tasks` tasks that are there; returns those that stand in for others."""
    arrays: dict[TaskName, ArrayTask] = {}
    uris = []
    for name, uri in zip(SIZES, config.experiment.tasks, strict=True):
        try:
            open_task(uri, OpenSettings.of(config))
        except MissingSetError:
            arrays[name] = stand_in(name, SIZES[name].scaled(scale), base_images())
            uri = arrays[name].uri
        uris.append(uri)
    config.experiment.tasks = tuple(uris)
    return arrays


def run_once(options: argparse.Namespace, begun: float) -> dict[str, Any]:
    """One run, in this process.

    Args:
      options: of the command line.
      begun: when the process was started, in seconds of `time.time`.
    """
    import jax

    from benchmarks.profiling.compilations import watched
    from benchmarks.profiling.idle import length, union
    from munet.run.runs import evolve

    config = settings(options.scale, options.variant)
    runtime, experiment = config.runtime, config.experiment
    runtime.data_dir, runtime.cache_dir = options.data_dir, f"{options.work}/cache"
    runtime.max_hours = options.max_minutes / 60
    experiment.root = options.root or f"{options.work}/root.npz"
    if not options.root:
        variant = architecture.get_variant(experiment.variant)
        save_augreg(experiment.root, init_root(variant, experiment.num_blocks, IMAGE_SIZE))
    data_began = time.time()
    arrays = with_data(config, options.scale)
    data_seconds = time.time() - data_began
    started: list[float] = []
    generations: list[GenerationEnded] = []
    total = 0
    tested: dict[TaskName, float] = {}

    def notify(event: Event) -> None:
        nonlocal total
        if isinstance(event, RunStarted):
            total = event.image_steps_total
        elif isinstance(event, GenerationStarted):
            started.append(time.time())
        elif isinstance(event, GenerationEnded):
            generations.append(event)
        elif isinstance(event, PhaseEnded):
            tested[event.entry.task] = event.entry.test_quality.value
            text = f"{options.run}: iteration {event.entry.position.task_iteration}, {event.entry.task} done after"
            print(f"{text} {time.time() - begun:.0f} s", file=sys.stderr, flush=True)

    with watched() as compilations:
        is_complete = evolve(validate(config), f"{options.work}/{options.run}", notify, arrays=arrays)
    children = [child for generation in generations for child in generation.entry.children]
    memory = jax.devices()[0].memory_stats() or {}
    return {
        "seconds": round(time.time() - begun, 1),
        "before_training_s": round(started[0] - begun, 1),
        "stand_ins_s": round(data_seconds, 1),
        "training_s": round(sum(generation.seconds for generation in generations), 1),
        "complete": is_complete,
        "image_steps": sum(child.cost.image_steps for child in children),
        "image_steps_of_all": total,
        "generations": len(generations),
        "children": len(children),
        "train_programs": compilations.programs["jit(train_child)"],
        "programs": compilations.programs.total(),
        "programs_from_cache": compilations.from_cache,
        "compile_s": round(length(union(compilations.times)), 1),
        "mean_test_accuracy": round(sum(tested.values()) / len(tested), 4) if tested else None,
        "peak_device_mib": memory["peak_bytes_in_use"] >> 20 if "peak_bytes_in_use" in memory else None,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "stand_ins": sorted(arrays),
    }


def run_both(options: argparse.Namespace) -> dict[str, Any]:
    """Both runs, each in a process of its own."""
    runs = {}
    for name in ("cold", "warm"):
        given = [f"--{key}={value}" for key, value in vars(options).items() if key != "run"]
        module = [sys.executable, "-m", "benchmarks.character_protocol"]
        command = [*module, *given, f"--run={name}", f"--begun={time.time()}"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        runs[name] = json.loads(output.splitlines()[-1])
    same = {name: runs["cold"].pop(name) for name in ("device", "jax", "stand_ins")}
    for name in same:
        del runs["warm"][name]
    about = {"scale": options.scale, "variant": options.variant, "root": Path(options.root).name or "random"}
    return {**same, **about, **runs}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", default="", help="prepared TFDS sets; default: $TFDS_DATA_DIR")
    parser.add_argument("--root", default="", help="a checkpoint of the variant; default: a random one")
    parser.add_argument("--variant", default="Ti/16")
    parser.add_argument("--scale", type=float, default=1.0, help="of the budget, above 0, at most 1")
    parser.add_argument("--max_minutes", type=float, default=0.0, help="for each of the two runs; 0: no limit")
    parser.add_argument(
        "--work", default="", help="an empty or new folder for runs and cache; default: a temporary one"
    )
    parser.add_argument("--run", default="", help=argparse.SUPPRESS)  # the one to do in this process
    parser.add_argument("--begun", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not 0 < options.scale <= 1:
        parser.error(f"--scale={options.scale:g}: expected above 0, at most 1")
    if options.work and not options.run and Path(options.work).exists() and any(Path(options.work).iterdir()):
        parser.error(f"--work={options.work}: expected an empty or new folder, so that the first run finds no cache")
    return options


def main() -> None:
    """Does one run or both, and prints one line."""
    options = parse(sys.argv[1:])
    if options.run:
        print(json.dumps(run_once(options, options.begun)))
        return
    with tempfile.TemporaryDirectory() as folder:
        options.work = options.work or folder
        Path(options.work).mkdir(parents=True, exist_ok=True)
        print(json.dumps(run_both(options)))


if __name__ == "__main__":
    main()
