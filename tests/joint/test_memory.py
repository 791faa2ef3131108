"""What a training takes of the devices: replicas that cannot be shared evenly, sets that do not lie there."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from munet.errors import ConfigError
from munet.joint import memory
from munet.joint.program import Spread, mesh_of
from munet.joint.rounds import Stream, resident
from munet.methods.gumbel_matrix.job import prepare
from tests.joint import tiny
from tests.methods.gumbel_matrix import routed


@pytest.mark.parametrize(
    ("replicas", "devices", "expected"),
    [(1, 4, (1, 4)), (4, 2, (2, 1)), (3, 2, (3, 2)), (6, 4, (3, 2)), (3, 1, (3, 1))],
)
def test_what_devices_cannot_share_evenly_lies_on_each(
    replicas: int, devices: int, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Spread.of(replicas, devices) == expected
    monkeypatch.setattr("munet.joint.program.Mesh", lambda array, _: array)
    layout: Any = SimpleNamespace(devices=[f"device {number}" for number in range(devices)])
    assert np.shape(mesh_of(layout, replicas)) == (replicas // expected[0], expected[1], 1)


def test_three_replicas_on_two_devices_take_three_times_one(tmp_path: Path) -> None:
    tiny.write_data(tmp_path)
    config = routed.config(tmp_path, replicas=3, keep="last")
    job = prepare(config)
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(job.learner.initial(0)))
    images = memory.image_bytes(job.streams, job.free.max_resident)
    assert images == sum(stream.images.nbytes for stream in job.streams)
    needed = 3 * memory.replica_bytes(state, job.activation_bytes() / 2, keeps_best=False)
    two = job.layout.devices * 2
    memory.check_replicas(replace(job, layout=replace(job.layout, devices=two, memory=math.ceil(images + needed))))
    with pytest.raises(ConfigError, match=r"2 replicas fit\. Lower it \(of a suite .*--repeats\), or"):
        memory.check_replicas(replace(job, layout=replace(job.layout, devices=two, memory=int(images + needed - 1))))


def test_the_best_version_is_a_copy_of_the_whole_state() -> None:
    # Parameters, gradients, two moments; and three again.
    assert memory.replica_bytes(3.0, 0.5, keeps_best=False) == 4.5
    assert memory.replica_bytes(3.0, 0.5, keeps_best=True) == 7.5


def test_sets_share_the_limit_in_their_order() -> None:
    def stream(name: str, size: int) -> Stream:
        return Stream(name, np.zeros((size, 1, 1, 1), np.uint8), np.zeros(size, np.int32), 1, lambda seed: (seed,))

    streams = [stream("a", 6), stream("b", 6), stream("c", 4)]
    assert [one.name for one in resident(streams, 10)] == ["a", "c"]
    assert memory.image_bytes(streams, 10) == 10
