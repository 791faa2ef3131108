"""What every joint training opens before anything is written: data and devices."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from munet import kinds
from munet.config import Runtime
from munet.config.pretrain import PretrainRuntime
from munet.config.train import TrainRuntime
from munet.data.open_settings import OpenSettings
from munet.data.tasks import Task, load_tasks
from munet.data.uris import relative_path
from munet.errors import ConfigError
from munet.joint.beginning import Beginning
from munet.kinds import AnyConfig, JointConfig
from munet.run import start
from munet.training.batches import resident
from munet.training.placement.devices import DeviceLayout
from munet.training.program import jax_settings
from munet.training.program.compilation_cache import use_compilation_cache

Say = Callable[[str], None]


@dataclass(frozen=True)
class Opened:
    """The tasks, of whose images none are in memory, and the devices.

    Attributes:
      tasks: in the order of the settings.
      layout: the devices.
      max_resident: bytes of training images that may lie on a device.
    """

    tasks: tuple[Task, ...]
    layout: DeviceLayout
    max_resident: float

    def beginning(self, experiment: Mapping[str, object], root: Mapping[str, object] | None = None) -> Beginning:
        """What the training begins with.

        Args:
          experiment: the settings that decide the result, as JSON values.
          root: what it begins from; {}: nothing; None: nothing, and older versions of munet are to read the file.
        """
        # Who predicts needs the shapes of images.
        infos = tuple(task.info if root is None else task.noted for task in self.tasks)
        uris: Any = experiment.get("tasks", ())  # none of tasks that are made, which are nowhere
        folder = str(Path.cwd()) if root is not None and any(map(relative_path, uris)) else ""
        return Beginning(experiment, infos, self.layout.describe(), start.versions(), root=root or {}, folder=folder)


def open_inputs(config: JointConfig, say: Say, *, stream: bool) -> Opened:
    """Opens the data and finds the devices.

    Args:
      config: validated settings.
      say: told about work that takes long.
      stream: whether sets may be streamed that are too large.

    Raises:
      DataError: data are missing or cannot be used; of all tasks in one message.
      UserError: settings that do not fit the devices.
    """
    layout = open_devices(config.runtime, say)
    limit = resident.max_resident(_engine(config.runtime), layout) if stream else math.inf
    return Opened(tuple(load_tasks(config.experiment.tasks, opening(config, limit, say))), layout, limit)


def opening(config: AnyConfig, max_resident: float = math.inf, say: Say = lambda _: None) -> OpenSettings:
    """How the data of a joint training are opened, of whichever kind it is."""
    runtime, data = config.runtime, kinds.of(config).trained.data(config.experiment)
    return OpenSettings(
        data_dir=runtime.data_dir,
        cache_dir=runtime.cache_dir,
        seed=data.seed,
        max_image_size=data.image_size,
        max_bad_images=runtime.max_bad_images,
        max_resident=max_resident,
        say=say,
        objectives=data.objectives,
    )


def open_devices(runtime: PretrainRuntime | TrainRuntime, say: Say) -> DeviceLayout:
    """Finds the devices, of a training whose data come from nowhere, too.

    Raises:
      UserError: settings that do not fit them.
    """
    engine = _engine(runtime)
    jax_settings.pin(say)
    use_compilation_cache(engine.cache_dir)
    return DeviceLayout.detect(engine)


def _engine(runtime: PretrainRuntime | TrainRuntime) -> Runtime:
    """The same settings as a run has them."""
    engine = Runtime(data_dir=runtime.data_dir, cache_dir=runtime.cache_dir, num_devices=runtime.num_devices)
    if isinstance(runtime, TrainRuntime):
        engine.resident_share, engine.device_memory_gb = runtime.resident_share, runtime.device_memory_gb
    return engine


def check_shared(batch_size: int, configured: int, num_images: int, num_devices: int) -> None:
    """Refuses batches that the devices cannot share evenly.

    Raises:
      ConfigError: which sizes they can.
    """
    setting = f"experiment.batch_size = {configured}"
    if problem := sharing_problem(setting, batch_size, num_images, num_devices):
        raise ConfigError([problem])


def sharing_problem(
    setting: str, batch_size: int, num_examples: int, num_devices: int, examples: str = "images"
) -> str:
    """Why the devices cannot share batches of some size evenly, and which they can; "" if they can.

    Args:
      setting: that the size comes from, with its value.
      batch_size: that it gives.
      num_examples: that there are: no batch has more.
      num_devices: that share a batch.
      examples: what they are, for people.
    """
    if batch_size % num_devices == 0:
        return ""
    below = batch_size // num_devices * num_devices
    sizes = [str(size) for size in (below, below + num_devices) if 0 < size <= num_examples]
    advice = f"Use {' or '.join(sizes)}, or set runtime.num_devices" if sizes else "Set runtime.num_devices"
    return (
        f"{setting} gives batches of {batch_size} (there are {num_examples:,} {examples}), which {num_devices} devices "
        f"cannot share evenly. {advice}."
    )
