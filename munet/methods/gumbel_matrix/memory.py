"""What an update of a routed network takes of memory."""

from __future__ import annotations

from munet.joint.traced_memory import gradient_bytes, tree_bytes
from munet.methods.gumbel_matrix.learner import Routing

_IN_STATE = 3  # of every parameter: itself and two moments


def activation_bytes(learner: Routing) -> int:
    """What a round takes beside state and gradients: an update at its peak, and the inputs of all tasks, as floats."""
    _, _, inputs, *_ = given = learner.abstract()
    return gradient_bytes(learner.loss, *given, has_aux=True) + len(learner.groups[0]) * tree_bytes(inputs)


def state_bytes(learner: Routing) -> int:
    """Parameters, logits and optimiser of one replica."""
    trained, *_ = learner.abstract()
    return _IN_STATE * tree_bytes(trained)
