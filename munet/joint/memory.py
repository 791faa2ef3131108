"""What a joint training takes of the devices' memory, estimated before it begins."""

from __future__ import annotations

import jax

from munet.errors import ConfigError
from munet.joint.job import Job
from munet.text import count


def check_replicas(job: Job) -> None:
    """Refuses more replicas than fit the devices' memory, as far as that is known.

    Raises:
      ConfigError: how many fit.
    """
    budget = job.layout.memory
    if budget is None or len(job.seeds) == 1:
        return
    one = replica_bytes(job)
    images = sum(stream.images.nbytes for stream in job.streams if stream.images.nbytes <= job.free.max_resident)
    fits = max(int((budget - images) * len(job.layout.devices) / one), 0)
    if fits < len(job.seeds):
        raise ConfigError(
            [
                f"experiment.replicas = {len(job.seeds)}: each takes about {one / 1e9:.3g} GB, and "
                f"{count(fits, 'replica')} fit. Lower it, or experiment.batch_size."
            ]
        )


def replica_bytes(job: Job) -> int:
    """Parameters, gradients, moments and best version of one replica, and what is kept of its batches."""
    state = job.learner.initial(job.seeds[0])
    return 3 * sum(leaf.nbytes for leaf in jax.tree.leaves(state)) + job.activation_bytes
