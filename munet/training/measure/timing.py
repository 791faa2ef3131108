"""How long a train program takes to compile and to make a step, on a blank child; for dry runs and benchmarks."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from munet.training.assemble import Control, gates, pad
from munet.training.placement.chunks import Chunk
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.grouping import Group
from munet.training.placement.placing import place
from munet.training.program import programs
from munet.training.program.compilation_cache import without_compilation_cache
from munet.training.program.optimizer import OptimizerSettings, UpdateRule
from munet.training.program.signature import Signature
from munet.vit import architecture

_RULE = UpdateRule()


@dataclass(frozen=True)
class StepTime:
    """Seconds of wall time.

    Attributes:
      compilation: tracing and compiling the program, never from the cache on disk.
      step: one step of one child, the median of several.
    """

    compilation: float
    step: float


def measure(signature: Signature, layout: DeviceLayout, rule: UpdateRule = _RULE, num_steps: int = 3) -> StepTime:
    """Compiles the train program of a signature on the layout's first device and times `num_steps` single steps."""
    chunk = place([Group(signature, (0,))], layout.single)[0]
    program = programs.train_program(signature, chunk.mesh, rule, chunk.parts)
    state, fixed, control = blank_child(signature, chunk)
    size = signature.image_size
    images = jnp.zeros((1, signature.batch_size, size, size, architecture.CHANNELS))
    labels = jnp.zeros((1, signature.batch_size), jnp.int32)
    times = []
    with without_compilation_cache():
        for _ in range(num_steps + 1):
            started = time.perf_counter()
            state = jax.block_until_ready(program(state, fixed, control, images, labels, jnp.int32(1)))
            times.append(time.perf_counter() - started)
    step = statistics.median(times[1:])
    return StepTime(times[0] - step, step)


def blank_child(signature: Signature, chunk: Chunk) -> tuple[programs.ChildState, dict[str, object], Control]:
    """A child of zeros that trains whatever the program can, on its devices: state, fixed components, control."""
    state, fixed, control = chunk.put(blank_arrays(signature))
    return state, fixed, control


def blank_arrays(signature: Signature) -> tuple[programs.ChildState, dict[str, object], Control]:
    """The same on the host."""
    names = signature.names
    params = {name: pad({}, signature, name) for name in names}
    tuned = {name: params[name] for name in names if signature.tunes(name)}
    fixed = {name: params[name] for name in names if name not in tuned}
    settings = OptimizerSettings(*(jnp.asarray(value) for value in (0.01, 0.9, 0.0, 0, 0, 1)))
    masks = {name: jnp.float32(1) for name in tuned}
    control = Control(masks, gates(names, signature, adapter_dim=1, num_classes=2), settings)
    tuned, fixed, control = jax.tree.map(lambda leaf: np.asarray(leaf)[None], (tuned, fixed, control))
    return programs.init_state(tuned), fixed, control
