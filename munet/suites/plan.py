"""From a suite to its runs: a config and a work directory for each method and seed, all settings checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from munet import kinds
from munet.config import Config, fields, flags
from munet.config.checks import validate
from munet.config.files import load_any_config
from munet.config.flags import Override
from munet.errors import ConfigError, SuiteError, UserError, nearest
from munet.kinds import AnyConfig
from munet.suites import suite_checks
from munet.suites.suite import Method, Suite

_SAME_TASKS = "kinds are compared on the same tasks and splits, which a suite gives as its `tasks`."


@dataclass(frozen=True)
class Run:
    """One method with one seed.

    Attributes:
      method: which.
      seed: of every draw, and of the split of sets that have none of their own; the first, of several.
      config: validated.
      workdir: of this run alone; `munet status --workdir` reads it.
      num_seeds: in a row, which are replicas of one training.
    """

    method: Method
    seed: int
    config: AnyConfig
    workdir: str
    num_seeds: int = 1

    @property
    def name(self) -> str:
        """For people: `full, seed 2`."""
        if self.num_seeds > 1:
            return f"{self.method.name}, seeds {self.seed} to {self.seed + self.num_seeds - 1}"
        return f"{self.method.name}, seed {self.seed}"


def run_folder(workdir: str, method: str, seed: int, together: int = 1) -> str:
    """Where a seed of a method is kept: by itself, or with others, of which so many train together from 0 on."""
    if together > 1:
        return seeds_folder(workdir, method, together, seed - seed % together)
    return f"{workdir.rstrip('/')}/runs/{method}/seed_{seed}"


def seeds_folder(workdir: str, method: str, count: int, first: int = 0) -> str:
    """Where so many seeds are kept that are replicas of one training."""
    return f"{workdir.rstrip('/')}/runs/{method}/seeds_{first}-{first + count - 1}"


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
    configured: dict[str, AnyConfig] = {}
    for method in suite.methods:
        try:
            configured[method.name] = method_config(suite, method, overrides)
        except UserError as error:
            found += [f"method {method.name!r}: {text}" for text in _texts(error)]
    compared = {name: kinds.of(config).comparison for name, config in configured.items()}
    if len(set(compared.values())) > 1:
        listed = "; ".join(f"{name}: {one.results}" for name, one in compared.items() if one)
        found.append(f"the results of the methods are not of one kind ({listed}): make a suite of each.")
    found += _other_tasks(configured)
    together = {name: seeds_together(config, repeats) for name, config in configured.items()}
    found += [
        f"method {name!r}: experiment.replicas = {size}, and --repeats={repeats} seeds are no multiple of that. Use "
        f"--repeats={-(-repeats // size) * size}, or other replicas."
        for name, size in together.items()
        if repeats > 0 and repeats % size
    ]
    if found:
        raise SuiteError(list(dict.fromkeys(found)))  # a wrong override is one problem, not one of every method
    chosen = [method for method in suite.methods if not methods or method.name in methods]
    return [
        _run(method, configured[method.name], workdir, seed, together[method.name])
        for seed in range(repeats)
        for method in chosen
        if seed % together[method.name] == 0
    ]


def _other_tasks(configured: Mapping[str, AnyConfig]) -> Iterator[str]:
    """Methods of one kind may have tasks of their own, which the page says; of several kinds nobody would expect it."""
    if len({type(config) for config in configured.values()}) < 2:
        return
    first, *others = configured
    wanted = configured[first].experiment.tasks
    for name in others:
        tasks = configured[name].experiment.tasks
        if missing := [uri for uri in wanted if uri not in tasks]:
            yield f"method {name!r} has not {', '.join(missing)}, which {first!r} has: {_SAME_TASKS}"
        if more := [uri for uri in tasks if uri not in wanted]:
            yield f"method {name!r} has {', '.join(more)}, which {first!r} has not: {_SAME_TASKS}"


def _run(method: Method, config: AnyConfig, workdir: str, seed: int, together: int) -> Run:
    kind = kinds.of(config)
    place = (
        seeds_folder(workdir, method.name, together)
        if kind.is_side_by_side
        else run_folder(workdir, method.name, seed, together)
    )
    return Run(method, seed, kind.with_seeds(config, seed, together), place, together)


def seeds_together(config: AnyConfig, repeats: int) -> int:
    """How many seeds of a method are one training: all, where they are cheap together; else its replicas."""
    return max(repeats, 1) if kinds.of(config).is_side_by_side else int(getattr(config.experiment, "replicas", 1))


def method_config(suite: Suite, method: Method, overrides: Sequence[Override] = ()) -> AnyConfig:
    """The validated config of a method: its file, the suite's settings, the method's own, the command line's.

    Where a suite mixes kinds, what it and the command line set for all goes to the methods whose kind has the setting.

    Raises:
      UserError: the file or a setting cannot be used.
    """
    config = load_any_config(method.config)
    kind = kinds.of(config)
    if kind.comparison is None:
        raise UserError(
            f"--config={method.config} is for {kind.command}: its result is a root, and a suite compares "
            "methods by tasks. Train the root first, and name it as experiment.root."
        )
    common = dict(suite.settings) | ({"experiment.tasks": suite.tasks} if suite.tasks else {})
    shared = [Override(name, _as_text(value)) for name, value in common.items()]
    own = [Override(name, _as_text(value)) for name, value in method.settings.items()]
    flags.override(config, [*_for(config, shared), *own, *_for(config, overrides)])
    if isinstance(config, Config):
        config.runtime.compare = ()  # baselines are methods here
    elif kind.is_side_by_side and getattr(config.experiment, "replicas", 1) > 1:
        raise ConfigError(
            ["experiment.replicas: a suite trains all seeds of this method together; say how many with --repeats."]
        )
    return validate(config)


def _for(config: AnyConfig, overrides: Sequence[Override]) -> list[Override]:
    """Without the settings that this kind of config lacks and another has."""

    def is_known(name: str, kind: type[Any]) -> bool:
        try:
            fields.full_name(name, kind)
        except ValueError:
            return False
        return True

    others = [kind.config for kind in kinds.KINDS if kind.comparison and kind.config is not type(config)]
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


def _texts(error: UserError) -> Sequence[str]:
    return error.problems if isinstance(error, ConfigError) else (str(error),)
