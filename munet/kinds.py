"""The kinds of what munet does by a config, in one table: which command each is for, and how others deal with it.

Whoever takes a config of any kind (suites, config files, the command line) asks this table instead of naming classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from munet.config.evolve import Config, Runtime
from munet.config.muir import MuirConfig
from munet.config.pretrain import PretrainConfig
from munet.config.routing import RoutingConfig
from munet.config.train import TrainConfig, as_run
from munet.progress.events import Notify

SuiteConfig = Config | TrainConfig | MuirConfig | RoutingConfig  # of kinds that suites may have as methods


class Kind(NamedTuple):
    """One kind.

    Attributes:
      name: in results and in a worker's job: "evolve".
      config: class of its settings.
      command: that takes them, for people.
      run: starts or goes on with one, and says whether it is complete.
      is_begun: whether a work directory holds one that may be gone on with.
      has_tasks: whether its results are tasks, one model each, so that a suite may have it as a method.
      is_side_by_side: whether a suite's seeds are replicas of one training, whose results are values, not accuracies.
    """

    name: str
    config: type[Any]
    command: str
    run: Callable[[Any, str, Notify], bool]
    is_begun: Callable[[str], bool]
    has_tasks: bool = True
    is_side_by_side: bool = False


def _evolve(config: Config, workdir: str, notify: Notify) -> bool:
    from munet.run import runs

    return runs.evolve(config, workdir, notify)


def _has_journal(workdir: str) -> bool:
    from munet.store import Store

    return len(Store(workdir).journal) > 0


def _train(config: TrainConfig | PretrainConfig | MuirConfig | RoutingConfig, workdir: str, notify: Notify) -> bool:
    from munet.joint import run

    return run.train(config, workdir, notify)


def _has(start: str) -> Callable[[str], bool]:
    def is_begun(workdir: str) -> bool:
        from munet.store.folders import open_folder

        return open_folder(workdir).exists(start)

    return is_begun


KINDS: tuple[Kind, ...] = (
    Kind("evolve", Config, "munet evolve", _evolve, _has_journal),
    Kind("pretrain", PretrainConfig, "munet pretrain", _train, _has("pretrain.json"), has_tasks=False),
    Kind("train", TrainConfig, "munet train", _train, _has("train.json")),
    Kind("muir", MuirConfig, "munet train", _train, _has("muir.json"), has_tasks=False, is_side_by_side=True),
    Kind("routing", RoutingConfig, "munet train", _train, _has("routing.json"), has_tasks=False, is_side_by_side=True),
)


def of(config: Any) -> Kind:
    """The kind of a config, or of its class."""
    wanted = config if isinstance(config, type) else type(config)
    return next(kind for kind in KINDS if kind.config is wanted)


def named(name: str) -> Kind:
    """The kind with a name."""
    return next(kind for kind in KINDS if kind.name == name)


def is_begun(workdir: str) -> bool:
    """Whether a work directory holds something whose results are tasks."""
    return any(kind.has_tasks and kind.is_begun(workdir) for kind in KINDS)


def what_is_opened(config: Config | TrainConfig) -> Config:
    """The run that needs the same data and the same root as a config of any kind whose results are tasks."""
    if isinstance(config, Config):
        return config
    runtime = config.runtime
    return Config(
        as_run(config.experiment),
        Runtime(
            data_dir=runtime.data_dir,
            cache_dir=runtime.cache_dir,
            max_bad_images=runtime.max_bad_images,
            resident_share=runtime.resident_share,
        ),
    )
