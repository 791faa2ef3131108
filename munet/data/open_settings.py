"""What every opener of a data set is given: a parsed task URI, and the settings of opening."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from munet.config import Config
from munet.data.array_task import ArrayTask
from munet.types import Objective, TaskName

Arrays = Mapping[TaskName, ArrayTask]  # tasks whose arrays were handed over in Python, by name
NO_ARRAYS: Arrays = MappingProxyType({})


def host_memory() -> int | None:
    """Bytes of memory that this machine has; None if it does not tell."""
    known = getattr(os, "sysconf_names", {})  # not on Windows; not all of them everywhere
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in known else None


def share_of(memory: int | None, share: float) -> float:
    """Bytes of decoded training images that are not streamed, for `OpenSettings.max_resident`.

    Args:
      memory: bytes of the memory that would hold them; None if nobody knows, and then nothing is too large.
      share: of it, as `runtime.resident_share`; 0: everything is streamed, whatever the memory.
    """
    if not share:
        return 0.0
    return math.inf if memory is None else memory * share


def _silent(text: str) -> None:
    """Takes what would be said of work that takes long, and tells nobody."""


@dataclass(frozen=True)
class OpenSettings:
    """How data sets are opened; the same for all tasks of a run.

    Attributes:
      data_dir: prepared TFDS data; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
      cache_dir: decoded data; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": none.
      seed: of the 80/10/10 split of sets that have no splits of their own.
      max_image_size: the largest image size (pixels on a side) that a model may ask for.
      max_bad_images: share of a folder's files that may be unreadable, in [0, 1]; they are left out.
      max_resident: bytes of decoded training images; sets of more are streamed if they are prepared TFDS sets or
        folders: decoded whenever they are needed, never held as a whole. That changes no pixel, no order and no split.
      say: told about work that takes long, in a line each time.
      arrays: the `memory:` tasks, by name.
      objectives: of the tasks that are taken; others are refused.
    """

    data_dir: str = ""
    cache_dir: str = ""
    seed: int = 0
    max_image_size: int = 64
    max_bad_images: float = 0.01
    max_resident: float = math.inf
    say: Callable[[str], None] = field(default=_silent, compare=False)
    arrays: Arrays = field(default_factory=dict)
    objectives: tuple[Objective, ...] = ("",)

    @property
    def canvas(self) -> int:
        """Images of varying size, or larger than this many pixels on a side, are squashed to a square of it."""
        return 2 * self.max_image_size

    @classmethod
    def of(
        cls,
        config: Config,
        say: Callable[[str], None] = _silent,
        arrays: Arrays = NO_ARRAYS,
        max_resident: float = math.inf,
    ) -> OpenSettings:
        """The settings of a run."""
        experiment, runtime = config.experiment, config.runtime
        return cls(
            data_dir=runtime.data_dir,
            cache_dir=runtime.cache_dir,
            seed=experiment.seed,
            max_image_size=max(experiment.search_space.image_size),
            max_bad_images=runtime.max_bad_images,
            max_resident=max_resident,
            say=say,
            arrays=arrays,
        )


@dataclass(frozen=True)
class TaskUri:
    """A parsed task URI.

    Attributes:
      text: as given.
      scheme: what stands before the colon, e.g. `tfds`.
      path: what stands between the scheme and the options.
      name: the task's name.
      options: what stands after the `?`, by name; values are taken as they are (no `%` decoding).
    """

    text: str
    scheme: str
    path: str
    name: TaskName
    options: Mapping[str, str] = field(default_factory=dict)
