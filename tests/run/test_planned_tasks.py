"""What a dry run knows of tasks: where their images will be, without decoding those of a streamed one."""

from __future__ import annotations

from pathlib import Path

import jax

from munet.config import Config, Experiment, Runtime
from munet.data.streamed import StreamedImages
from munet.run.planned_tasks import open_all
from munet.training.placement.devices import DeviceLayout
from tests.data.folder.test_folder import fill


def test_a_dry_run_decodes_nothing_of_a_streamed_set(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 20, "b": 20})
    small = Experiment(tasks=(f"folder:{tmp_path}",), variant="demo/16", batch_size=4)
    layout = DeviceLayout(tuple(jax.devices()[:1]), 1)
    for share, expected in ((0.25, "resident"), (0.0, "streamed")):
        config = Config(small, Runtime(resident_share=share, decoding_threads=1, cache_dir="off"))
        ((item,), _) = open_all(config, layout, lambda _: None)
        assert item.task is not None
        assert item.images is not None
        assert item.images.is_resident == (expected == "resident")
        assert isinstance(item.task.split("train").images, StreamedImages) == (expected == "streamed")
