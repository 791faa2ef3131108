"""A finished model on one device, and what a program says of it, piece by piece: for evaluation and for features.

One path, so that what is measured again is equal; placed as the engine places children, so that its programs serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from munet import accelerators
from munet.training import assemble
from munet.training.assemble import FlatArrays
from munet.training.batches.stream import LabelledBatches
from munet.training.program.sharding import AXES
from munet.training.program.signature import Signature
from munet.types import ComponentName, Hyperparameters
from munet.vit.architecture import HEAD

Program = Callable[..., Any]


class OneModel:
    """A model's padded arrays on the first device.

    Args:
      program: what it runs in; blocks that the model does not have are gated off.
      components: unpadded arrays by component name; the head may be missing, if the program needs none.
      hyperparameters: the model's (adapter width matters).
      num_classes: head outputs.
    """

    def __init__(
        self,
        program: Signature,
        components: Mapping[ComponentName, FlatArrays],
        hyperparameters: Hyperparameters,
        *,
        num_classes: int,
    ):
        self.mesh = Mesh(np.array(accelerators.local_devices()[:1]).reshape(1, 1, 1), AXES)
        params = {
            name: assemble.pad(components.get(name, {}), program, name)
            for name in program.names
            if name in components or name != HEAD
        }
        gates = assemble.gates(
            components, program, adapter_dim=int(hyperparameters["adapter_dim"]), num_classes=num_classes
        )
        stacked = jax.tree.map(lambda leaf: np.asarray(leaf)[None], (params, gates))
        self._arguments = jax.device_put(stacked, NamedSharding(self.mesh, PartitionSpec("child")))

    def over(self, program: Program, pieces: Iterable[LabelledBatches]) -> Iterator[tuple[LabelledBatches, Any]]:
        """Each piece with the program's result for it, still with its child axis."""
        replicated = NamedSharding(self.mesh, PartitionSpec())
        for piece in pieces:
            images = jax.device_put(piece.images, replicated)
            yield piece, program(*self._arguments, images, jnp.int32(piece.num_batches))
