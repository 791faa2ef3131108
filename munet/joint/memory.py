"""What a joint training takes of the devices' memory, estimated before it begins."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from munet.errors import ConfigError
from munet.joint.job import Job
from munet.joint.program import Spread
from munet.joint.rounds import Stream, resident
from munet.text import count


def check_replicas(job: Job) -> None:
    """Refuses more replicas than fit the devices' memory, as far as that is known.

    Raises:
      ConfigError: how many fit.
    """
    budget, asked = job.layout.memory, len(job.seeds)
    if budget is None or asked == 1:
        return
    room = budget - image_bytes(job.streams, job.free.max_resident)
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(job.learner.initial(job.seeds[0])))
    activations = job.activation_bytes()

    def one(replicas: int) -> float:
        sharing = Spread.of(replicas, len(job.layout.devices)).sharing
        return replica_bytes(state, activations / sharing, keeps_best=bool(job.keeps_best))

    def fits(replicas: int) -> bool:
        return Spread.of(replicas, len(job.layout.devices)).together * one(replicas) <= room

    if fits(asked):
        return
    most = next((fewer for fewer in range(asked - 1, 0, -1) if fits(fewer)), 0)
    in_suites = " (of a suite that trains its seeds side by side: --repeats)" if job.kind.is_side_by_side else ""
    raise ConfigError(
        [
            f"experiment.replicas = {asked}: each takes about {one(asked) / 1e9:.3g} GB, and "
            f"{count(most, 'replica')} fit. Lower it{in_suites}, or experiment.batch_size."
        ]
    )


def replica_bytes(state: float, activations: float, *, keeps_best: bool) -> float:
    """What one replica takes of each device that it lies on.

    Args:
      state: bytes of what is trained and of the optimiser, which the best version is a copy of.
      activations: bytes that a round takes beside state and gradients, for the device's part of the batches.
      keeps_best: whether there is a best version.
    """
    gradients = state / 3  # of Adam, whose state is parameters and two moments; of other optimisers nearly
    return (2 if keeps_best else 1) * state + gradients + activations


def image_bytes(streams: Sequence[Stream], limit: float) -> int:
    """What training images take of each device: sets that are streamed lie on none.

    Args:
      streams: of every round.
      limit: bytes of the sets that may lie on a device together.
    """
    return sum(stream.images.nbytes for stream in resident(streams, limit))
