"""On four (simulated) devices every batch is shared among them, and the result is that of one device, nearly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import simulated_devices

SCRIPT = """
import sys
from pathlib import Path
import jax, numpy as np
from munet.errors import ConfigError
from munet.joint import rounds
from tests.joint import tiny
from tests.joint.tiny import pretrain

data = Path(sys.argv[1])
tiny.write_data(data)
put, cuts = jax.device_put, set()

def spy(value, where=None):
    placed = put(value, where)
    for given, there in zip(jax.tree.leaves(value), jax.tree.leaves(placed), strict=True):
        if getattr(given, "shape", None) == (10, 16) and given.dtype == np.int32:
            cuts.add(tuple(shard.data.shape for shard in there.addressable_shards))
    return placed

rounds.jax.device_put = spy
roots = []
for count in (4, 1):
    config = tiny.config(data, num_devices=count, num_steps=5, learning_rate=1e-3)
    pretrain(config, str(data / f"run{count}"), lambda _: None)
    with np.load(data / f"run{count}" / "demo16_1blocks_32px.npz") as file:
        roots.append({key: file[key] for key in file.files})
assert cuts == {((10, 4),) * 4, ((10, 16),)}, cuts
for key, array in roots[0].items():
    np.testing.assert_allclose(array, roots[1][key], rtol=0, atol=1e-4, err_msg=key)
try:
    pretrain(tiny.config(data, num_devices=3), str(data / "run3"), lambda _: None)
except ConfigError as error:
    assert "3 devices cannot share evenly. Use 15 or 18" in str(error), error
    print("same")
"""


@pytest.mark.slow
def test_four_devices_share_every_batch(tmp_path: Path) -> None:
    assert simulated_devices.printed(4, "-c", SCRIPT, str(tmp_path)) == ["same"]


REPLICAS = """
import sys
from pathlib import Path
import jax, numpy as np
from munet.config import Runtime
from munet.joint.job import Length
from munet.training.placement.devices import DeviceLayout
from tests.joint import toy

folder = Path(sys.argv[1])
found = {}
for seeds in ((0,), (0, 1), (0, 1, 2, 3)):
    for count in (8, 1):
        layout = DeviceLayout.detect(Runtime(num_devices=count))
        job = toy.make(folder, seeds=seeds, length=Length(5, 5, block=5), layout=layout)
        trained = toy.train(job, folder / f"{len(seeds)}-{count}")
        used = {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(trained.state)}
        assert used == {count}, used
        found[len(seeds), count] = trained.programs.taken(trained.state)
    for eight, one in zip(found[len(seeds), 8], found[len(seeds), 1], strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5), eight, one)
print("same")
"""


def test_eight_devices_share_replicas_and_batches(tmp_path: Path) -> None:
    assert simulated_devices.printed(8, "-c", REPLICAS, str(tmp_path)) == ["same"]
