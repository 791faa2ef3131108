"""What a round of MUiR keeps for its backward pass is estimated, and the check of replicas counts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from munet.errors import ConfigError
from munet.joint.memory import check_replicas, image_bytes, replica_bytes
from munet.methods.muir import job
from tests.methods.muir.small import config, mixed


def test_twice_the_batch_keeps_twice_as_much_nearly(tmp_path: Path) -> None:
    def kept(rows: int) -> int:
        return job.prepare(mixed(tmp_path, batch_sizes=(rows, 6, 6))).activation_bytes()

    assert 1.7 * kept(20) < kept(40) < 2 * kept(20)


def test_linear_tasks_by_hand(tmp_path: Path) -> None:
    """Of six tasks, each with six examples of eight inputs; errors, what each adds to the loss, and its gradient."""
    prepared = job.prepare(config(tmp_path, challengers=0))
    blocks, weights, inputs, targets, errors = 6 * 8, 8, 6 * 8, 6, 3 * 6
    assert prepared.activation_bytes() == 4 * (3 * blocks + 6 * (weights + inputs + targets + errors))


@pytest.mark.parametrize("make", [config, mixed])
def test_replicas_that_do_not_fit_are_refused(tmp_path: Path, make: Any) -> None:
    prepared = job.prepare(make(tmp_path, replicas=3))
    state = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(prepared.learner.initial(0)))
    needed = 3 * replica_bytes(state, prepared.activation_bytes(), keeps_best=True)
    room = image_bytes(prepared.streams, prepared.free.max_resident) + needed
    check_replicas(replace(prepared, layout=replace(prepared.layout, memory=int(room) + 1)))
    with pytest.raises(ConfigError, match=r"2 replicas fit\. Lower it \(of a suite .*--repeats\), or"):
        check_replicas(replace(prepared, layout=replace(prepared.layout, memory=int(room) - 1)))
