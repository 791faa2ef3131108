"""Rounds: what a task draws is its own, whatever else is trained; streamed sets give the same batches."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from munet.joint.program import mesh_of
from munet.joint.rounds import Rounds, batch
from tests.joint import toy


def batches(
    folder: Path, names: tuple[str, ...], seeds: tuple[int, ...] = (0,), streamed: bool = False
) -> dict[str, list[bytes]]:
    """Of every stream the bytes of some rounds."""
    job = toy.make(folder, names=names, seeds=seeds, streamed=streamed)
    mesh = mesh_of(job.layout, len(seeds))
    rounds = Rounds(job.streams, job.seeds, size=5, num_rounds=10, mesh=mesh, limit=1e9)
    found: dict[str, list[bytes]] = {name: [] for name in names}
    try:
        for first, count in ((0, 5), (5, 2), (7, 3)):
            for name, picked in rounds.block(first, count).items():
                for replica in range(len(seeds)):
                    own = picked if len(seeds) == 1 else jax.tree.map(lambda leaf, r=replica: leaf[r], picked)
                    for index in range(count):
                        one = batch(rounds.sets[name], own, jnp.int32(index))
                        found[name].append(b"".join(np.asarray(part).tobytes() for part in one))
    finally:
        rounds.close()
    return found


def test_another_task_changes_no_batch_of_a_task(tmp_path: Path) -> None:
    alone = batches(tmp_path, ("second",))["second"]
    together = batches(tmp_path, ("first", "second"))
    assert together["second"] == alone
    assert together["first"] != alone
    assert len(set(alone)) == 10  # every round draws anew


def test_replicas_draw_as_their_seeds_alone(tmp_path: Path) -> None:
    both = batches(tmp_path, ("first",), (3, 4))["first"]
    three, four = batches(tmp_path, ("first",), (3,))["first"], batches(tmp_path, ("first",), (4,))["first"]
    assert three != four
    assert sorted(both) == sorted(three + four)


def test_a_streamed_set_gives_the_same_batches(tmp_path: Path) -> None:
    assert batches(tmp_path, ("first",), streamed=True) == batches(tmp_path, ("first",))


def test_what_does_not_fit_is_streamed(tmp_path: Path) -> None:
    job = toy.make(tmp_path)
    size = job.streams[0].images.nbytes
    mesh = mesh_of(job.layout, 1)
    for limit, resident in ((2 * size, [True, True]), (2 * size - 1, [True, False]), (0, [False, False])):
        rounds = Rounds(job.streams, (0,), size=1, num_rounds=1, mesh=mesh, limit=limit)
        assert [held is not None for held in rounds.sets.values()] == resident
        rounds.close()
