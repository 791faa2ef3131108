"""A pre-training that is checked and ready to start, before anything is written: data, devices, sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jax.sharding import Mesh

from munet.config import Runtime, to_json
from munet.config.pretrain import PretrainConfig
from munet.data.open_settings import OpenSettings
from munet.data.tasks import Task, load_tasks
from munet.errors import ConfigError
from munet.joint import examples
from munet.joint.examples import Examples
from munet.joint.workdir import Beginning
from munet.methods.pretraining import recipe
from munet.run import start
from munet.training.placement.devices import DeviceLayout, data_mesh
from munet.training.program import jax_settings
from munet.training.program.compilation_cache import use_compilation_cache


@dataclass(frozen=True)
class JointSetup:
    """What a training needs.

    Attributes:
      config: the validated settings.
      tasks: opened; of their images only the validation splits are in memory, in `examples`.
      examples: what is learnt from.
      layout: the devices.
    """

    config: PretrainConfig
    tasks: tuple[Task, ...]
    examples: Examples
    layout: DeviceLayout

    @classmethod
    def prepare(cls, config: PretrainConfig, say: Callable[[str], None] = lambda _: None) -> JointSetup:
        """Opens and decodes the data, and finds the devices.

        Args:
          config: validated settings.
          say: told about work that takes long, and what the tasks have to say of themselves, a line each time.

        Raises:
          DataError: data are missing or cannot be used; of all tasks in one message.
          ConfigError, UserError: settings that do not fit the data or the devices.
        """
        experiment, runtime = config.experiment, engine_runtime(config)
        jax_settings.pin(say)
        use_compilation_cache(runtime.cache_dir)
        layout = DeviceLayout.detect(runtime)
        opening = OpenSettings(
            data_dir=runtime.data_dir,
            cache_dir=runtime.cache_dir,
            seed=experiment.seed,
            max_image_size=experiment.image_size,
            max_bad_images=config.runtime.max_bad_images,
            say=say,
        )
        tasks = load_tasks(experiment.tasks, opening)
        merged = examples.merge(tasks)
        for task in tasks:
            for note in task.notes:
                say(f"{task.uri}: {note}")
        setup = cls(config, tuple(tasks), merged, layout)
        if problems := setup._problems():
            raise ConfigError(problems)
        return setup

    @property
    def num_images(self) -> int:
        """Number of training images, all tasks together."""
        return len(self.examples.labels)

    @property
    def batch_size(self) -> int:
        """Images in a step, all devices together."""
        return recipe.batch_size(self.config.experiment, self.num_images)

    @property
    def num_steps(self) -> int:
        """Number of training steps, all epochs together."""
        return recipe.num_steps(self.config.experiment, self.num_images)

    @property
    def mesh(self) -> Mesh:
        """All devices, sharing every batch."""
        return data_mesh(self.layout)

    @property
    def beginning(self) -> Beginning:
        """What the training begins with."""
        infos = tuple(task.info for task in self.tasks)
        experiment = to_json(self.config.experiment)
        return Beginning(experiment, infos, self.layout.describe(), start.versions())

    def _problems(self) -> list[str]:
        problems = []
        height, width = self.examples.images.shape[1:3]
        pad = self.config.experiment.pad_pixels
        if pad >= min(height, width):
            problems.append(
                f"experiment.pad_pixels = {pad}: the images have {height} x {width} pixels, of which at most "
                f"{min(height, width) - 1} can be reflected at an edge."
            )
        count = len(self.layout.devices)
        if self.batch_size % count:
            below = self.batch_size // count * count
            advice = f"Use {below} or {below + count}" if below else f"Use {count}"
            problems.append(
                f"experiment.batch_size = {self.config.experiment.batch_size} gives batches of {self.batch_size} "
                f"(there are {self.num_images:,} images), which {count} devices cannot share evenly. {advice}, or set "
                "runtime.num_devices."
            )
        return problems


def engine_runtime(config: PretrainConfig) -> Runtime:
    """The part of the settings that the parts shared with a run read."""
    runtime = config.runtime
    return Runtime(data_dir=runtime.data_dir, cache_dir=runtime.cache_dir, num_devices=runtime.num_devices)
