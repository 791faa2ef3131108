"""On eight (simulated) devices a search decides what it decides on one, of equal scores; uneven batches are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.errors import ConfigError
from munet.joint.job import Job
from munet.methods.muir import job
from munet.methods.muir.checks import check
from munet.methods.muir.learner import Muir
from tests import simulated_devices
from tests.methods.muir.small import config, mixed

SCRIPT = """
import sys
from pathlib import Path
import jax, numpy as np
from munet.joint.learner import Place
from munet.joint.program import Programs, mesh_of
from munet.joint.rounds import Rounds
from munet.methods.muir import job
from munet.methods.muir.checks import check
from munet.methods.muir.learner import Muir
from tests.joint.conformance import same
from tests.methods.muir.small import config

seeds, trained, programs = (0, 1, 2, 3), {}, {}
for count in (8, 1):  # on eight devices each replica has two, which share its batches
    settings = config(Path(sys.argv[1]), replicas=4, block_rows=2)
    settings.runtime.num_devices = count
    prepared = job.prepare(settings)
    mesh = mesh_of(prepared.layout, 4)
    programs[count] = own = Programs(prepared.learner, 4, mesh)
    carried = own.initial(seeds, [stream.name for stream in prepared.streams])
    rounds = Rounds(prepared.streams, seeds, size=6, num_rounds=6, mesh=mesh, limit=1e9)
    carried = own.run(carried, rounds.block(0, 6), rounds.sets, 6)
    assert {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(carried.state)} == {count}
    trained[count] = own.taken(carried.state)
learner = prepared.learner

def decided(count, states):
    own = programs[count]
    placed = own.put(states)
    views = own.views(placed)
    found = [learner.decide(view, Place(seed, 6, 30)) for seed, view in zip(seeds, views)]
    return own.taken(own.put_changed(placed, views, [state for state, _ in found])), [record for _, record in found]

# Of equal scores, wherever they lie: the same winners and the same challengers, to the bit.
for states in trained.values():
    host = [learner.decide(state, Place(seed, 6, 30)) for seed, state in zip(seeds, states)]
    for count in programs:
        found, said = decided(count, states)
        assert said == [record for _, record in host], (count, said)
        assert same(found, [state for state, _ in host]), count
    assert any(record["changes"] for _, record in host), host

# Trained apart, scores differ in their last bits only: what wins clearly wins on both.
for eight, one in zip(trained[8], trained[1], strict=True):
    np.testing.assert_allclose(eight.scores, one.scores, rtol=0, atol=1e-3)
    (winners, mass), (others, _) = learner.winners(eight), learner.winners(one)
    is_clear = mass > 0.35  # of three candidates, which begin equal
    assert is_clear.sum() > 8, mass
    np.testing.assert_array_equal(winners[is_clear], others[is_clear])
print("same")
"""


@pytest.mark.slow
def test_decisions_on_eight_devices_are_those_on_one(tmp_path: Path) -> None:
    assert simulated_devices.printed(8, "-c", SCRIPT, str(tmp_path)) == ["same"]


def _refused(prepared: Job, num_devices: int) -> str:
    assert isinstance(prepared.learner, Muir)
    with pytest.raises(ConfigError) as caught:
        check(prepared.learner, prepared.streams, num_devices)
    return str(caught.value)


def test_batches_that_devices_cannot_share_are_named_together(tmp_path: Path) -> None:
    text = _refused(job.prepare(mixed(tmp_path, batch_sizes=(9, 6, 4))), 4)
    assert "batch_sizes has 9 for small, which gives batches of 9" in text
    assert "which 4 devices cannot share evenly. Use 8 or 12, or set runtime.num_devices" in text
    assert "batch_sizes has 6 for small/0" in text
    assert "small/1" not in text
    text = _refused(job.prepare(config(tmp_path)), 8)
    assert (
        "batch_size = 6 gives batches of 6 (there are 6 examples), which 8 devices cannot share evenly. Set runtime"
        in text
    )
