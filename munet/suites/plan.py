"""From a suite to its runs: a config and a work directory for each method and seed, all checked before any starts.

`plan` checks the settings; `check_inputs` looks at what the runs need: data, roots, and whether runs that are there
already began with the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from munet import kinds
from munet.config import (
    Config,
    Experiment,
    MuirConfig,
    RoutingConfig,
    TrainConfig,
    as_begun,
    differences,
    fields,
    flags,
    to_json,
    without_places,
)
from munet.config.checks import validate
from munet.config.files import load_any_config
from munet.config.flags import Override
from munet.errors import ConfigError, CorruptionError, SuiteError, UserError, WorkdirError, nearest
from munet.kinds import SuiteConfig
from munet.store import Store
from munet.suites import suite_checks
from munet.suites.suite import Method, Suite
from munet.text import count
from munet.types import StartEntry

if TYPE_CHECKING:
    from munet.data.tasks import Task
    from munet.joint.workdir import Beginning
    from munet.run.start import RootComponents

    Inputs = tuple[list[Task], RootComponents | None, list[UserError]]


@dataclass(frozen=True)
class Run:
    """One method with one seed.

    Attributes:
      method: which.
      seed: of every draw, and of the split of sets that have none of their own; the first, of seeds side by side.
      config: validated.
      workdir: of this run alone; `munet status --workdir` reads it.
    """

    method: Method
    seed: int
    config: SuiteConfig
    workdir: str

    @property
    def name(self) -> str:
        """For people: `full, seed 2`."""
        if isinstance(self.config, MuirConfig | RoutingConfig):
            return f"{self.method.name}, {count(self.config.experiment.replicas, 'seed')}"
        return f"{self.method.name}, seed {self.seed}"


def run_folder(workdir: str, method: str, seed: int) -> str:
    """Where a run of a suite is kept."""
    return f"{workdir.rstrip('/')}/runs/{method}/seed_{seed}"


def seeds_folder(workdir: str, method: str, repeats: int) -> str:
    """Where seeds 0 to `repeats` - 1 are kept that were trained side by side."""
    return f"{workdir.rstrip('/')}/runs/{method}/seeds_0-{repeats - 1}"


def plan(
    suite: Suite, workdir: str, repeats: int, overrides: Sequence[Override] = (), methods: Sequence[str] = ()
) -> list[Run]:
    """The runs of a suite, seed by seed, so that an interrupted suite has every method about equally often.

    Args:
      suite: what to run.
      workdir: the suite's directory.
      repeats: seeds 0 to this, exclusive.
      overrides: of the command line; they win.
      methods: only these; all if empty.

    Raises:
      SuiteError: all problems in one message, those of the methods' configs included.
    """
    if wrong := suite_checks.type_problems(suite):
        raise SuiteError(wrong)  # nothing more can be said of it
    found = suite_checks.problems(suite)
    if repeats < 1:
        found.append(f"--repeats={repeats}: expected at least 1.")
    for name in methods:
        if name not in suite.names:
            found.append(f"--methods names {name!r}: no such method. {nearest(name, suite.names)}")
    found += suite_checks.setting_problems("--config.", [item.name for item in overrides])
    configured: dict[str, SuiteConfig] = {}
    for method in suite.methods:
        try:
            configured[method.name] = method_config(suite, method, overrides)
        except UserError as error:
            found += [f"method {method.name!r}: {text}" for text in _texts(error)]
    sides = {name: kinds.of(config).is_side_by_side for name, config in configured.items()}
    if any(sides.values()) and len({type(config) for config in configured.values()}) > 1:
        named = ", ".join(name for name, is_side in sides.items() if is_side)
        found.append(f"the results of {named} are values, those of the other methods accuracies: make two suites.")
    if found:
        raise SuiteError(list(dict.fromkeys(found)))  # a wrong override is one problem, not one of every method
    chosen = [method for method in suite.methods if not methods or method.name in methods]
    if any(sides.values()):
        return [
            Run(method, 0, _side_by_side(configured[method.name], repeats), seeds_folder(workdir, method.name, repeats))
            for method in chosen
        ]
    return [
        Run(method, seed, _with_seed(configured[method.name], seed), run_folder(workdir, method.name, seed))
        for seed in range(repeats)
        for method in chosen
    ]


def method_config(suite: Suite, method: Method, overrides: Sequence[Override] = ()) -> SuiteConfig:
    """The validated config of a method: its file, the suite's settings, the method's own, the command line's.

    Where a suite mixes kinds, what it and the command line set for all goes to the methods whose kind has the setting.

    Raises:
      UserError: the file or a setting cannot be used.
    """
    config = load_any_config(method.config)
    if not isinstance(config, Config | TrainConfig | MuirConfig | RoutingConfig):
        raise UserError(
            f"--config={method.config} is for {kinds.of(config).command}: its result is a root, and a suite compares "
            "methods by tasks. Train the root first, and name it as experiment.root."
        )
    common = dict(suite.settings) | ({"experiment.tasks": suite.tasks} if suite.tasks else {})
    shared = [Override(name, _as_text(value)) for name, value in common.items()]
    own = [Override(name, _as_text(value)) for name, value in method.settings.items()]
    flags.override(config, [*_for(config, shared), *own, *_for(config, overrides)])
    if isinstance(config, Config):
        config.runtime.compare = ()  # baselines are methods here
    elif config.experiment.replicas > 1:
        raise ConfigError(["experiment.replicas: in a suite every seed is a run; say how many with --repeats."])
    return validate(config)


def _for(config: SuiteConfig, overrides: Sequence[Override]) -> list[Override]:
    """Without the settings that this kind of config lacks and another has."""

    def is_known(name: str, kind: type[Any]) -> bool:
        try:
            fields.full_name(name, kind)
        except ValueError:
            return False
        return True

    others = [kind.config for kind in kinds.KINDS if kind.has_tasks and kind.config is not type(config)]
    return [
        item
        for item in overrides
        if is_known(item.name, type(config)) or not any(is_known(item.name, kind) for kind in others)
    ]


def _as_text(value: Any) -> str:
    """A setting as it would stand on the command line; lists as Python literals, for commas inside."""
    if isinstance(value, (tuple, list)):
        return repr(tuple(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_seed(config: SuiteConfig, seed: int) -> SuiteConfig:
    if isinstance(config, Config):
        return Config(replace(config.experiment, seed=seed), config.runtime)
    if isinstance(config, TrainConfig):
        return TrainConfig(replace(config.experiment, seed=seed), config.runtime)
    return config


def _side_by_side(config: SuiteConfig, repeats: int) -> SuiteConfig:
    """The training of all seeds of a suite."""
    if not isinstance(config, MuirConfig | RoutingConfig):
        raise TypeError("only seeds of MuirConfig and RoutingConfig train side by side in suites")
    if isinstance(config, MuirConfig):
        return MuirConfig(replace(config.experiment, seed=0, replicas=repeats), config.runtime)
    return RoutingConfig(replace(config.experiment, seed=0, replicas=repeats), config.runtime)


def _texts(error: UserError) -> Sequence[str]:
    return error.problems if isinstance(error, ConfigError) else (str(error),)


def check_inputs(runs: Sequence[Run]) -> None:
    """Opens every task and every root that runs need, and looks at runs that are there already.

    Raises:
      SuiteError: all problems in one message.
    """
    import jax

    jax.config.update("jax_platforms", "cpu")  # this process only looks; a GPU's memory is for the workers
    from munet.data.open_settings import host_memory, share_of
    from munet.run.setup import open_inputs

    found: dict[str, None] = {}
    opened: list[tuple[object, Inputs]] = []
    for run in runs:
        if isinstance(run.config, MuirConfig | RoutingConfig):
            found |= dict.fromkeys(_problems_of_values(run, run.config))
            continue
        try:
            begun = _begun(run)
        except (CorruptionError, WorkdirError) as error:
            found[str(error)] = None
            continue
        config = kinds.what_is_opened(run.config)
        key = _what_is_opened(config, begun)
        inputs = next((inputs for other, inputs in opened if other == key), None)
        if inputs is None:
            limit = share_of(host_memory(), run.config.runtime.resident_share)  # the workers' own may differ
            inputs = open_inputs(config, max_resident=limit)
            opened.append((key, inputs))
            found |= dict.fromkeys(map(str, inputs[2]))
        if begun is not None:
            found |= dict.fromkeys(_changes(run, begun, inputs))
    if found:
        raise SuiteError(list(found))


def _problems_of_values(run: Run, config: MuirConfig | RoutingConfig) -> list[str]:
    """What is wrong with the data of tasks whose seeds train side by side, or with a run that is there already."""
    from munet.data.open_settings import OpenSettings
    from munet.data.tasks import load_tasks
    from munet.joint.run import kind_of
    from munet.joint.workdir import Workdir, beginning_differences

    kind = kind_of(config)
    try:
        if isinstance(config, MuirConfig):
            from munet.methods.muir.job import IMAGE_SIZE, OBJECTIVES

            settings = OpenSettings(
                config.runtime.data_dir,
                config.runtime.cache_dir,
                config.experiment.seed,
                IMAGE_SIZE,
                objectives=OBJECTIVES,
            )
        else:
            experiment, runtime = config.experiment, config.runtime
            settings = OpenSettings(runtime.data_dir, runtime.cache_dir, experiment.data_seed, experiment.image_size)
        uris = config.experiment.tasks
        infos = tuple(task.info for task in load_tasks(uris, settings)) if uris else ()
        begun = Workdir(run.workdir, kind).beginning()
    except UserError as error:
        return [str(error)]
    if begun is None:
        return []
    now = replace(begun, experiment=to_json(config.experiment), tasks=infos or begun.tasks)
    return _as_problem(run, beginning_differences(begun, now, kind))


def _as_problem(run: Run, changed: Sequence[str]) -> list[str]:
    if not changed:
        return []
    return [
        f"{run.workdir} holds a run of {run.method.name!r} with other settings or data ({'; '.join(changed)}): give "
        "the method another name, or another --workdir."
    ]


def _begun(run: Run) -> StartEntry | Beginning | None:
    """What a run that is there already began with; None if there is none yet.

    Raises:
      CorruptionError: its journal is damaged.
      WorkdirError: it is of another format version.
    """
    from munet.joint.workdir import TRAIN, Workdir
    from munet.system.view import read_start

    if isinstance(run.config, TrainConfig):
        return Workdir(run.workdir, TRAIN).beginning()
    return read_start(Store.open(run.workdir)) if len(Store(run.workdir).journal) else None


def _what_is_opened(config: Config, begun: StartEntry | Beginning | None) -> object:
    """What decides the tasks and the root of a run; the seed, of some splits, where they are to be compared."""
    experiment, runtime = config.experiment, config.runtime
    root = (experiment.root, experiment.variant, experiment.num_blocks, experiment.defaults)
    places = (runtime.data_dir, runtime.cache_dir, runtime.max_bad_images)
    seed = None if begun is None else experiment.seed
    return experiment.tasks, max(experiment.search_space.image_size), root, places, seed


def _changes(run: Run, begun: StartEntry | Beginning, inputs: Inputs) -> list[str]:
    """What a run that is there already began with and is no longer so: settings, data, root."""
    from munet.joint.workdir import TRAIN, Beginning, beginning_differences, experiment_differences
    from munet.run import start

    tasks, root, problems = inputs
    experiment = run.config.experiment
    if isinstance(experiment, Experiment):
        experiment, _ = as_begun(experiment, begun.experiment)
    if isinstance(begun, Beginning):
        if root is None or problems:
            changed = experiment_differences(begun.experiment, to_json(experiment), TRAIN)
        else:
            infos = tuple(task.info for task in tasks)
            now = Beginning(to_json(experiment), infos, {}, {}, root=root.checkpoint)
            changed = beginning_differences(begun, now, TRAIN)
    elif not isinstance(experiment, Experiment):
        raise TypeError("a run of evolution with the settings of a joint training")
    elif root is None or problems:
        changed = differences(without_places(begun.experiment), without_places(to_json(experiment)))
    else:
        wanted = start.start_entry(experiment, [task.info for task in tasks], root, {})
        changed = start.all_differences(begun, wanted)
    return _as_problem(run, changed)
