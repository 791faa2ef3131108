"""Where the wall time of a generation goes, and how much of it the device does nothing.

    python -m benchmarks.generation [--task=builtin:digits] [--root=demo] [--variant=demo/16] [--children=4] [--seed=0]
    python -m benchmarks.generation --config=characters --config.data_dir=DIR --task=tfds:mnist --root=random

Prints one JSON line. The generations of one phase are run by a run's own code, in new work directories, four times over
with equal draws, in one process:

* `cold`: the first time, with an empty cache of programs; the seconds of a generation by part, the mean over all.
* `warm`: the same once more, when every program is there.
* `undisturbed_s`: as a run does it. The two above wait for the device after every part, which a run does not.
* `idle_share`: of the time of the generations of a fourth time, recorded by JAX's profiler, the share in which the
  device did nothing.

A part is the time in the functions that `PARTS` names for it, without what other parts take inside of them; `compile`
is tracing, lowering and compiling, by JAX's own events, wherever it happens; `other` is the rest. They add up to
`wall_s`. `transfer` includes assembling the children on the host, and the first generation's training images.

`--root=random` takes a root that has learnt nothing: times do not depend on it. Whatever `munet evolve` takes as
`--config.name=value` may be given; without `--config` it is `base:quick`, made small.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from jax.experimental.compilation_cache import compilation_cache

from benchmarks.profiling.compilations import Compilations, watched
from benchmarks.profiling.idle import Interval, idle_share, intersection, length, read_trace, trace_options, union
from munet.config import Config
from munet.config.flags import Override, parse_config, split_overrides
from munet.evolution.controller import Controller
from munet.progress.events import Event, GenerationEnded
from munet.run import loop, runs
from munet.run.publishing import Publisher
from munet.run.setup import RunSetup
from munet.store.journal import Journal
from munet.training import wave
from munet.training.batches import stream
from munet.training.batches.resident import ResidentImages
from munet.training.chunk_training import ChunkTraining
from munet.training.in_flight import InFlight
from munet.training.measure.validation import Validation
from munet.training.program import programs
from munet.training.wave import WaveTrainer
from munet.vit import architecture
from munet.vit.augreg import save_augreg
from munet.vit.init import init_root

# What each part of a generation is; where functions are called inside of others, the inner one's part has the time.
PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "sampling": ((Controller, "ask"),),
    "compile": ((wave, "compile_ahead"),),  # where it waits for other threads; the rest by JAX's events
    "transfer": (
        (ResidentImages, "of"),
        (ChunkTraining, "start"),
        (ChunkTraining, "best_arrays"),
        (jax, "device_put"),
        (jax, "device_get"),
    ),
    "augment": ((stream.TrainStream, "segment"),),
    "train": ((WaveTrainer, "_dispatch_training"),),
    "validate": (
        (Validation, "__init__"),
        (stream, "_prepare_batches"),
        (WaveTrainer, "_dispatch_evaluation"),
        (ChunkTraining, "keep_best"),
        (programs, "keep_best"),
    ),
    "store": (
        (Publisher, "load"),
        (Publisher, "publish"),
        *((InFlight, name) for name in ("begin", "restore", "save", "clear")),
    ),
    "journal": ((Journal, "append"),),
}
OTHER = "other"
GENERATION = (loop.Loop, "_generation")
ANNOTATION = "munet_generation"

SHORT = {  # options, and the settings that they are
    "task": "tasks", "root": "root", "variant": "variant", "num_blocks": "num_blocks", "seed": "seed",
    "generations": "num_generations", "children": "children_per_generation", "cycles": "cycles_per_child",
    "batches": "max_batches_per_cycle", "batch_size": "batch_size",
}  # fmt: skip
SMALL = {"task": "builtin:digits", "generations": "3", "children": "4", "batches": "10"}  # on top of base:quick
RANDOM = "random"


class Meter:
    """The wall time of generations by part; what a part inside of another takes is not the other's."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.generations: list[Interval] = []
        self._clock = clock
        self._parts: list[tuple[str, Interval]] = []
        self._open: list[str] = []  # parts, the innermost last
        self._since = 0.0
        self._thread = threading.get_ident()

    @contextlib.contextmanager
    def generation(self) -> Iterator[None]:
        """Nothing outside of it is counted."""
        started = self._clock()
        self._enter(OTHER, started)
        try:
            yield
        finally:
            ended = self._clock()
            self._leave(ended)
            self.generations.append((started, ended))

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts the block, inside of a generation, for a part."""
        if not self._open or threading.get_ident() != self._thread:
            yield
            return
        self._enter(name, self._clock())
        try:
            yield
        finally:
            self._leave(self._clock())

    def split(self, compiling: Sequence[Interval]) -> dict[str, float]:
        """Mean seconds of a generation by part, and of the whole.

        Args:
          compiling: when programs were made, whatever part that was in; may overlap.
        """
        seconds = dict.fromkeys((*PARTS, OTHER), 0.0)
        made = union(compiling)
        for name, interval in self._parts:
            inside = length(intersection([interval], made))
            seconds[name] += length([interval]) - inside
            seconds["compile"] += inside
        seconds["wall"] = length(self.generations)
        return {f"{name}_s": value / len(self.generations) for name, value in seconds.items()}

    def _enter(self, name: str, now: float) -> None:
        if self._open:
            self._parts.append((self._open[-1], (self._since, now)))
        self._open.append(name)
        self._since = now

    def _leave(self, now: float) -> None:
        self._parts.append((self._open.pop(), (self._since, now)))
        self._since = now


def around(owner: Any, name: str, context: Callable[[], contextlib.AbstractContextManager[Any]], *, wait: bool) -> Any:
    """A patch that puts a function of a run into a context, and may make it wait for what it has computed."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        with context():
            result = function(*arguments, **named)
            return jax.block_until_ready(result) if wait else result

    return mock.patch.object(owner, name, wrapped)


def split_pass(config: Config) -> tuple[dict[str, float], Compilations]:
    """Runs the phase with a meter on every part."""
    meter = Meter()
    with contextlib.ExitStack() as patches:
        for part, functions in PARTS.items():
            for owner, name in functions:
                patches.enter_context(around(owner, name, functools.partial(meter.part, part), wait=True))
        patches.enter_context(around(*GENERATION, meter.generation, wait=False))
        compilations = patches.enter_context(watched())
        phase(config)
    return meter.split(compilations.times), compilations


def traced_pass(config: Config) -> float | None:
    """Runs the phase under the profiler; the share of its generations in which the device did nothing."""
    with tempfile.TemporaryDirectory() as folder:
        with (
            around(*GENERATION, lambda: jax.profiler.TraceAnnotation(ANNOTATION), wait=False),
            jax.profiler.trace(folder, profiler_options=trace_options()),
        ):
            phase(config)
        return idle_share(*read_trace(Path(folder), ANNOTATION))


def phase(config: Config) -> list[GenerationEnded]:
    """Runs the one phase of a run in a new work directory; what it told of its generations."""
    ended: list[GenerationEnded] = []

    def notify(event: Event) -> None:
        if isinstance(event, GenerationEnded):
            ended.append(event)

    with tempfile.TemporaryDirectory() as folder:
        runs.run(RunSetup.prepare(config), f"{folder}/run", notify)
    return ended


def measure(config: Config) -> dict[str, Any]:
    """All that is printed.

    Args:
      config: of a run; of its tasks the first one counts, in one iteration.
    """
    experiment, runtime = config.experiment, config.runtime
    experiment.tasks, experiment.num_task_iterations, runtime.compare = experiment.tasks[:1], 1, ()
    with tempfile.TemporaryDirectory() as folder, empty_cache():
        runtime.cache_dir = f"{folder}/cache"
        if experiment.root == RANDOM:
            experiment.root = f"{folder}/root.npz"
            variant = architecture.get_variant(experiment.variant)
            save_augreg(experiment.root, init_root(variant, experiment.num_blocks, experiment.defaults.image_size))
        cold, made = split_pass(config)
        warm, made_again = split_pass(config)
        undisturbed = phase(config)
        idle = traced_pass(config)
    children = [child for generation in undisturbed for child in generation.entry.children]
    return {
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "task": experiment.tasks[0],
        "variant": f"{experiment.variant}, {experiment.num_blocks} blocks",
        "seed": experiment.seed,
        "generations": len(undisturbed),
        "children": experiment.children_per_generation,
        "image_steps": sum(child.cost.image_steps for child in children) // len(undisturbed),
        "train_programs": len({child.cost.program for child in children}),
        "cold": rounded(cold) | {"compilations": made.programs.total()},
        "warm": rounded(warm) | {"compilations": made_again.programs.total()},
        "undisturbed_s": round(sum(generation.seconds for generation in undisturbed) / len(undisturbed), 4),
        "idle_share": None if idle is None else round(idle, 3),
    }


@contextlib.contextmanager
def empty_cache() -> Iterator[None]:
    """Whatever cache of programs the process has used: inside it is the one that a run names, and forgotten then."""
    before = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    compilation_cache.reset_cache()  # JAX asks once where it is
    try:
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        compilation_cache.reset_cache()


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """The same times by name, in seconds, rounded to tenths of milliseconds."""
    return {name: round(value, 4) for name, value in seconds.items()}


def parse(arguments: Sequence[str]) -> Config:
    """The settings that a command line asks for."""
    rest, overrides = split_overrides(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="FILE[:VARIANT], as for munet evolve; default: base:quick, made small")
    for option, name in SHORT.items():
        parser.add_argument(f"--{option}", help=f"the same as --config.{name}")
    options = vars(parser.parse_args(rest))
    given = {option: value for option in SHORT if (value := options[option]) is not None}
    named = given if options["config"] else {**SMALL, **given}
    spec = options["config"] or "base:quick"
    return parse_config(spec, [*(Override(SHORT[option], value) for option, value in named.items()), *overrides])


def main() -> None:
    """Measures and prints one line."""
    print(json.dumps(measure(parse(sys.argv[1:]))))


if __name__ == "__main__":
    main()
