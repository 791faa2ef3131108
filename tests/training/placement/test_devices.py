"""On eight (simulated) devices the children of a generation lie on eight devices, and compute what one device does."""

from __future__ import annotations

from tests import simulated_devices

SCRIPT = """
import jax, numpy as np
from munet.training.chunk_training import ChunkTraining
from munet.training.placement.devices import DeviceLayout
from tests.training.children import FakeTask, config, random_child, train

children = [random_child(seed % 3, id=seed + 1, max_blocks=1) for seed in range(8)]
task = FakeTask(num_train=80)  # five steps of 16
seen = set()
start = ChunkTraining.start

def spy(chunk, *arguments):
    run = start(chunk, *arguments)
    for leaf in jax.tree.leaves(run.state):
        assert len(leaf.sharding.device_set) == chunk.mesh.size, leaf.sharding
        assert leaf.addressable_shards[0].data.shape[0] == 1  # one child on each
    seen.update(chunk.mesh.devices.flat)
    return run

ChunkTraining.start = spy
results = []
for count in (8, 1):
    settings = config()
    settings.runtime.num_devices = count
    seen.clear()
    results.append(train(settings, children, task))
    assert len(seen) == count, seen
for id, child in results[0].items():
    for name, arrays in child.best.items():
        for path, array in arrays.items():
            np.testing.assert_allclose(array, results[1][id].best[name][path], rtol=0, atol=1e-5)
print("same")
"""


def test_eight_children_lie_on_eight_devices() -> None:
    assert simulated_devices.printed(8, "-c", SCRIPT) == ["same"]
