"""The kinds of what munet does by a config, in one table: what depends on which kind it is.

Whoever takes a config of any kind, or opens a work directory of any kind, asks this table and names no class: config
files and their checks, the command line, `munet.open`, `munet status`, `munet predict`, joint trainings, suites. (What
`munet verify --tests` measures again it tells by what was opened.) A further kind is one entry here and its class in
`AnyConfig`, its settings with their rules (munet/config), and, of a joint training, its learner with a `prepare`
(munet/methods). What an entry calls is imported when it is called: this module is read before anything slow may be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from munet.config import evolve_rules as evolve
from munet.config import muir, pretrain, routing, train
from munet.config.evolve import Config
from munet.config.muir import MuirConfig
from munet.config.pretrain import PretrainConfig
from munet.config.routing import RoutingConfig
from munet.config.train import TrainConfig
from munet.kinds import evolution, joint
from munet.kinds.kind import AnyConfig, Comparison, Data, JointConfig, Kind, Later, Method
from munet.types import Objective

__all__ = ["KINDS", "AnyConfig", "JointConfig", "Kind", "found", "named", "of"]

_NOT_AS_A_RUN = ", which this command does not read: `munet status --workdir={workdir}` shows"

KINDS: tuple[Kind, ...] = (
    Kind(
        name="evolve",
        config=Config,
        rules=evolve.RULES,
        command="munet evolve",
        start="journal",
        what="run",
        reader=": `munet status --workdir={workdir}` shows it",
        run=evolution.evolve,
        is_begun=evolution.has_journal,
        is_complete=evolution.has_closed_all_phases,
        behind=evolution.image_steps,
        time=evolution.time_of_run,
        dry_run=evolution.describe_dry_run,
        alike=lambda config: config,
        comparison=joint.ACCURACIES,
    ),
    joint.joint(
        name="pretrain",
        config=PretrainConfig,
        rules=pretrain.RULES,
        command="munet pretrain",
        what="pre-training",
        reader=": see curve.jsonl there, and the root's card (*.md)",
        method=Method(
            prepare=Later("munet.methods.pretraining.job:prepare"),
            result=Later("munet.joint.records:PretrainResult"),
            data=lambda experiment: Data(experiment.seed, experiment.image_size),
        ),
    ),
    joint.joint(
        name="train",
        config=TrainConfig,
        rules=train.RULES,
        command="munet train",
        what="joint training",
        reader=": `munet status --workdir={workdir}` shows it",
        method=Method(
            prepare=Later("munet.methods.fine_tuning.job:prepare"),
            result=Later("munet.joint.records:JointResult"),
            data=lambda experiment: Data(train.data_seed(experiment), experiment.defaults.image_size),
        ),
        alike=joint.run_alike,
        comparison=joint.ACCURACIES,
    ),
    joint.joint(
        name="muir",
        config=MuirConfig,
        rules=muir.RULES,
        command="munet train",
        what="MUiR training",
        reader=f"{_NOT_AS_A_RUN} its qualities, `munet verify` checks it; nothing else reads it",
        method=Method(
            prepare=Later("munet.methods.muir.job:prepare"),
            result=Later("munet.methods.muir.result:MuirResult"),
            data=lambda experiment: Data(experiment.seed, muir.IMAGE_SIZE, get_args(Objective)),
        ),
        comparison=Comparison("values", Later("munet.suites.value_report:ValueReport")),
        is_side_by_side=True,
        print_status=Later("munet.report.muir_status:print_status"),
        check=Later("munet.report.verify.muir_check:check"),
        rows=Later("munet.suites.generated_rows:rows_of"),
        refined=joint.of_generated_roots,
    ),
    joint.joint(
        name="routing",
        config=RoutingConfig,
        rules=routing.RULES,
        command="munet train",
        what="routed training",
        reader=f"{_NOT_AS_A_RUN} its rows and what each task computes, `munet verify` checks it, "
        "`munet predict` uses it",
        method=Method(
            prepare=Later("munet.methods.gumbel_matrix.job:prepare"),
            result=Later("munet.methods.gumbel_matrix.result:RoutingResult"),
            data=lambda experiment: Data(experiment.seed_of_data, experiment.image_size),
        ),
        comparison=Comparison("rows", Later("munet.suites.routing_report:RoutingReport")),
        is_side_by_side=True,
        print_status=Later("munet.report.routed:print_status"),
        check=Later("munet.report.verify.routed_check:check"),
        rows=Later("munet.suites.root_rows:rows_of"),
        models=Later("munet.serving.routed:asked"),
        refined=joint.of_routed_root,
    ),
)


def of(config: Any) -> Kind:
    """The kind of a config, or of its class."""
    if isinstance(config, type):
        return next(kind for kind in KINDS if kind.config is config)
    kind = of(type(config))
    return kind if kind.refined is None else replace(kind, **kind.refined(config))


def named(name: str) -> Kind:
    """The kind with a name."""
    return next(kind for kind in KINDS if kind.name == name)


def found(workdir: str) -> Kind | None:
    """The kind of what a work directory holds; None where nothing has begun."""
    return next((kind for kind in KINDS if kind.is_begun(workdir)), None)
