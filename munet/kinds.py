"""The kinds of what munet does by a config, in one table: what depends on which kind it is.

Whoever takes a config of any kind, or opens a work directory of any kind, asks this table and names no class: config
files and their checks, the command line, `munet.open`, `munet status`, `munet predict`, joint trainings, suites. (What
`munet verify --tests` measures again it tells by what was opened.) A further kind is one entry here and its class in
`AnyConfig`, its settings with their rules (munet/config), and, of a joint training, its learner with a `prepare`
(munet/methods). What an entry calls is imported when it is called: this module is read before anything slow may be.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

from munet.config import evolve_rules as evolve
from munet.config import muir, pretrain, routing, train
from munet.config.evolve import Config, Runtime
from munet.config.muir import MuirConfig
from munet.config.pretrain import PretrainConfig
from munet.config.routing import RoutingConfig
from munet.config.rules import Rules
from munet.config.train import TrainConfig, as_run
from munet.progress.events import Notify
from munet.types import Objective

if TYPE_CHECKING:
    from munet.suites.times import Measure, MethodTime

AnyConfig = Config | PretrainConfig | TrainConfig | MuirConfig | RoutingConfig
JointConfig = PretrainConfig | TrainConfig | MuirConfig | RoutingConfig  # of what trains in munet/joint


class Data(NamedTuple):
    """How the data of a joint training are opened, as `munet.data.open_settings.OpenSettings` has it.

    Attributes:
      seed: of the splits of sets that have none of their own.
      image_size: pixels on a side, that models see.
      objectives: of the tasks that the method learns.
    """

    seed: int
    image_size: int
    objectives: tuple[Objective, ...] = ("",)


@dataclass(frozen=True)
class Later:
    """A function or class that is imported when it is asked for, by `module:name`."""

    place: str

    def __call__(self) -> Any:
        """The function or class itself."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(module), name)


@dataclass(frozen=True)
class Method:
    """What a joint training has that evolution has not.

    Attributes:
      prepare: a function of settings and of whom to tell things; gives a `munet.joint.job.Job`.
      result: class of what `result.json` holds.
      data: how its data are opened, by the part of its settings that decides the result.
    """

    prepare: Later
    result: Later
    data: Callable[[Any], Data]


@dataclass(frozen=True)
class Comparison:
    """How a suite compares runs or trainings. Kinds of one comparison may be methods of one suite.

    Attributes:
      results: what is compared, in words.
      report: a class, made of a suite's directory, the suite, its record, the name of a reference and what is otherwise
        in some work directories, that writes tables and pages of what is complete (`munet.suites.report.Report`).
    """

    results: str
    report: Later


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
      name: in results, in a worker's job and in `munet status --json`: "evolve".
      config: class of its settings.
      rules: what of them must fit together.
      command: that takes them, for people.
      start: the file or folder that its work directories begin with.
      what: such a directory holds, in words.
      reader: what shows it to people who look for a run there; `{workdir}` is its place.
      run: starts or goes on with one, and says whether it is complete.
      is_begun: whether a work directory holds one that may be gone on with.
      is_complete: whether one that is begun needs nothing more.
      behind: how much one that is begun has behind it, in the units of its `time`.
      time: how long one takes, by measured steps.
      dry_run: what `--dry_run` says of one.
      method: of a joint training.
      alike: the evolved run that has the same data and the same root; None: it has no root.
      comparison: of suites whose methods are of this kind; None: its result is a root, which is no method.
      is_side_by_side: whether a suite trains all seeds of a method as replicas of one training. Else every seed is a
        run, unless the settings of the method ask for replicas.
      print_status: a function of a work directory, `as_json`, and the `options` of `munet status` that were given and
        that only runs have; None: it is shown as a run is.
      check: a function of a work directory, a `munet.report.verify.problems.VerifyReport` and what measures again, for
        `munet verify`; None: it is checked as a run is.
      rows: a function of a work directory, a method's name and its title that gives its lines of `results.parquet`, or
        None while it is not complete (`munet.suites.rows.rows_of`); None: they are made as of a run.
      models: a function of a work directory, the name of a task ("": the only one) and whether all are asked, that
        gives a `munet.serving.answers.Models`; None: the models of a system.
      refined: what of this entry is otherwise for some settings, by attribute.
    """

    name: str
    config: type[Any]
    rules: Rules
    command: str
    start: str
    what: str
    reader: str
    run: Callable[[Any, str, Notify], bool]
    is_begun: Callable[[str], bool]
    is_complete: Callable[[str], bool]
    behind: Callable[[str], int]
    time: Callable[[Any, Measure], MethodTime]
    dry_run: Callable[[Any, Measure], Iterable[str]]
    method: Method | None = None
    alike: Callable[[Any], Config] | None = None
    comparison: Comparison | None = None
    is_side_by_side: bool = False
    print_status: Later | None = None
    check: Later | None = None
    rows: Later | None = None
    models: Later | None = None
    refined: Callable[[Any], Mapping[str, Any]] | None = None

    @property
    def trained(self) -> Method:
        """Of a joint training.

        Raises:
          TypeError: it is none.
        """
        if self.method is None:
            raise TypeError(f"{self.name!r} is no joint training")
        return self.method

    @property
    def defaults(self) -> Any:
        """The part of its settings that decides the result, as it is where nothing is set."""
        return self.config().experiment

    def with_seeds(self, config: AnyConfig, first: int, count: int) -> AnyConfig:
        """The same settings for some seeds in a row, of which all but evolution trains any number in one program."""
        changes = {"seed": first} | ({"replicas": count} if hasattr(config.experiment, "replicas") else {})
        made: AnyConfig = self.config(replace(cast(Any, config.experiment), **changes), config.runtime)
        return made


def _evolve(config: Config, workdir: str, notify: Notify) -> bool:
    from munet.run import runs

    return runs.evolve(config, workdir, notify)


def _has_journal(workdir: str) -> bool:
    from munet.store import Store

    return Store(workdir).has_begun


def _has_closed_all_phases(workdir: str) -> bool:
    from munet.system import view

    return view.open(workdir).is_complete


def _image_steps(workdir: str) -> int:
    from munet.system import view

    return view.open(workdir).run_state.image_steps


def _time_of_run(config: Config, measure: Measure) -> MethodTime:
    from munet.suites import times

    return times.of_run(config, measure)


def _dry_run(config: Config, measure: Measure) -> Iterable[str]:
    from munet.run import dry_run

    return dry_run.describe(config, measure=measure)


def _joint(name: str, config: type[Any], rules: Rules, command: str, *, what: str, **others: Any) -> Kind:
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

        return Workdir(workdir, named(name)).result() is not None

    def behind(workdir: str) -> int:
        from munet.joint.saving import rounds_saved
        from munet.joint.workdir import Workdir

        return rounds_saved(Workdir(workdir, named(name)).in_training)

    def time(config: JointConfig, measure: Measure) -> MethodTime:
        del measure  # of a step of evolution
        from munet.suites import times

        return times.of_training(config)

    def dry_run(config: JointConfig, measure: Measure) -> Iterable[str]:
        del measure
        from munet.joint.run import describe

        return describe(config)

    return Kind(
        name, config, rules, command, start, what, run=run, is_begun=is_begun, is_complete=is_complete, behind=behind,
        time=time, dry_run=dry_run, **others,
    )  # fmt: skip


def _run_alike(config: TrainConfig) -> Config:
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


def _of_routed_root(config: RoutingConfig) -> Mapping[str, Any]:
    """Versions of a root's blocks are compared with whatever else fine-tunes that root, and cost as much as those."""
    if config.experiment.network != "vit":
        return {}

    def alike(config: RoutingConfig) -> Config:
        return _run_alike(TrainConfig(routing.as_train(config.experiment), config.runtime))

    return {"alike": alike, "comparison": _ACCURACIES, "is_side_by_side": False}


def _of_generated_roots(config: MuirConfig) -> Mapping[str, Any]:
    """Copies of a root are compared with whatever else fine-tunes that root; a training of them is no cheap one."""
    if not muir.is_of_a_root(config.experiment):
        return {}

    def alike(config: MuirConfig) -> Config:
        return _run_alike(TrainConfig(muir.as_train(config.experiment), config.runtime))

    return {"alike": alike, "comparison": _ACCURACIES, "is_side_by_side": False}


_ACCURACIES = Comparison("accuracies", Later("munet.suites.report:Report"))
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
        run=_evolve,
        is_begun=_has_journal,
        is_complete=_has_closed_all_phases,
        behind=_image_steps,
        time=_time_of_run,
        dry_run=_dry_run,
        alike=lambda config: config,
        comparison=_ACCURACIES,
    ),
    _joint(
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
    _joint(
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
        alike=_run_alike,
        comparison=_ACCURACIES,
    ),
    _joint(
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
        refined=_of_generated_roots,
    ),
    _joint(
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
        refined=_of_routed_root,
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
