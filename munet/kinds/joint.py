"""Entries of the table of kinds for trainings by the one loop of munet/joint, and what is otherwise of a root's copies.

What a function needs is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from munet.config import muir, routing
from munet.config.evolve import Config, Runtime
from munet.config.muir import MuirConfig
from munet.config.routing import RoutingConfig
from munet.config.rules import Rules
from munet.config.train import TrainConfig, as_run
from munet.kinds.kind import Comparison, JointConfig, Kind, Later
from munet.progress.events import Notify

if TYPE_CHECKING:
    from munet.suites.times import Measure, MethodTime

ACCURACIES = Comparison("accuracies", Later("munet.suites.report:Report"))


def joint(name: str, config: type[Any], rules: Rules, command: str, *, what: str, **others: Any) -> Kind:
    """An entry of the table: a training by the one loop of munet/joint."""
    start = f"{name}.json"

    def run(config: JointConfig, workdir: str, notify: Notify) -> bool:
        from munet.joint.run import train

        return train(config, workdir, notify)

    def is_begun(workdir: str) -> bool:
        from munet.store.folders import open_folder

        return open_folder(workdir).exists(start)

    def is_complete(workdir: str) -> bool:
        from munet.joint.workdir import Workdir

        return Workdir(workdir, kind).result() is not None

    def behind(workdir: str) -> int:
        from munet.joint.saving import rounds_saved
        from munet.joint.workdir import Workdir

        return rounds_saved(Workdir(workdir, kind).in_training)

    def time(config: JointConfig, measure: Measure) -> MethodTime:
        del measure  # of a step of evolution
        from munet.suites import times

        return times.of_training(config)

    def dry_run(config: JointConfig, measure: Measure) -> Iterable[str]:
        del measure
        from munet.joint.run import describe

        return describe(config)

    kind = Kind(
        name, config, rules, command, start, what, run=run, is_begun=is_begun, is_complete=is_complete, behind=behind,
        time=time, dry_run=dry_run, **others,
    )  # fmt: skip
    return kind


def run_alike(config: TrainConfig) -> Config:
    """The evolved run that has the data and the root of a joint fine-tuning."""
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


def of_routed_root(config: RoutingConfig) -> Mapping[str, Any]:
    """Versions of a root's blocks are compared with whatever else fine-tunes that root, and cost as much as those."""
    if config.experiment.network != "vit":
        return {}

    def alike(config: RoutingConfig) -> Config:
        return run_alike(TrainConfig(routing.as_train(config.experiment), config.runtime))

    return {"alike": alike, "comparison": ACCURACIES, "is_side_by_side": False}


def of_generated_roots(config: MuirConfig) -> Mapping[str, Any]:
    """Copies of a root are compared with whatever else fine-tunes that root; a training of them is no cheap one."""
    if not muir.is_of_a_root(config.experiment):
        return {}

    def alike(config: MuirConfig) -> Config:
        return run_alike(TrainConfig(muir.as_train(config.experiment), config.runtime))

    return {"alike": alike, "comparison": ACCURACIES, "is_side_by_side": False}
