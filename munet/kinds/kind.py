"""What the table of kinds says of each: the classes of its entries."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from munet.config.evolve import Config
from munet.config.muir import MuirConfig
from munet.config.pretrain import PretrainConfig
from munet.config.routing import RoutingConfig
from munet.config.rules import Rules
from munet.config.train import TrainConfig
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
