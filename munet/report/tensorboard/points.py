"""A journal as TensorBoard shows it: numbers and pictures at image steps, and children as trials of hyper-parameters.

Pure: what is written where is `event_files.py`'s.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from munet.evolution import judging
from munet.evolution.controller import Controller
from munet.evolution.state import EvolutionError, State
from munet.report import overview
from munet.report.facts import mutations
from munet.report.graph import graph, svg
from munet.system import replay
from munet.system.replay import RunState
from munet.types import (
    ComponentId,
    CompressionEntry,
    ExtendEntry,
    ForgetEntry,
    GenerationEntry,
    HyperparameterValue,
    JournalEntry,
    ModelRecord,
    PhaseEntry,
    StartEntry,
    TaskName,
)

MOST_TRIALS = 500  # children that are trials; TensorBoard reads a folder for each
_MOST_FOLLOWED = 200  # tasks whose sizes are looked at again whenever another one's phase ends


@dataclass(frozen=True)
class Scalar:
    """A number: its tag, and the value."""

    tag: str
    value: float


@dataclass(frozen=True)
class Picture:
    """The layer graph as SVG."""

    tag: str
    svg: str


@dataclass(frozen=True)
class Trial:
    """A child: its hyper-parameters, and what came of it."""

    name: str
    hyperparameters: Mapping[str, HyperparameterValue]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Points:
    """What one journal entry adds.

    Attributes:
      step: training images seen so far, all children together.
      seconds: of training so far, wall time.
      items: what is shown there.
    """

    step: int
    seconds: float
    items: Sequence[Scalar | Picture | Trial]


@dataclass
class Fold:
    """Points entry by entry, from the start entry on.

    Attributes:
      controller: of the run's configuration and tasks.
      run_state: after the last entry.
      seconds: of training so far, wall time.
    """

    controller: Controller
    run_state: RunState | None = None
    seconds: float = 0.0
    _sizes: dict[TaskName, tuple[float, float]] = field(default_factory=dict)
    _published: dict[ComponentId, TaskName] = field(default_factory=dict)
    _trials: int = 0
    _tags: dict[TaskName, str] = field(default_factory=dict)

    def tell(self, entry: JournalEntry) -> Points:
        """What an entry adds.

        Raises:
          CorruptionError: it does not follow on those before it.
        """
        self.run_state = replay.tell(self.controller, self.run_state, entry)
        if isinstance(entry, StartEntry | ExtendEntry):  # earlier ones stay what they are
            self._tags |= tags([*self._tags, *(info.name for info in entry.tasks)])
        items: list[Scalar | Picture | Trial] = []
        if isinstance(entry, GenerationEntry):
            self.seconds += sum(child.cost.seconds for child in entry.children)
            self._published |= dict.fromkeys(entry.published, entry.task)
            items += self._of_generation(entry)
        elif isinstance(entry, PhaseEntry):
            items += self._of_retained([entry.task])
        elif isinstance(entry, CompressionEntry):
            lost = {id: self._published[record.parent or ""] for id, record in entry.published.items()}
            self._published |= lost
            items += self._of_retained([model.measured.task for model in entry.models])
        elif isinstance(entry, ForgetEntry):
            items += self._of_retained([])
        return Points(self.run_state.image_steps, self.seconds, items)

    @property
    def state(self) -> State:
        """The controller's after the last entry."""
        if self.run_state is None:
            raise ValueError("no entry was told yet")
        return self.run_state.state

    def _of_generation(self, entry: GenerationEntry) -> Iterator[Scalar | Trial]:
        children = entry.children
        seconds, images = (sum(getattr(child.cost, name) for child in children) for name in ("seconds", "image_steps"))
        if seconds and images:  # a `compress` stage trains nothing
            yield Scalar("cost/images_per_second", images / seconds)
        if children:
            yield Scalar("children/kept_share", sum(child.verdict.is_kept for child in children) / len(children))
        if not self.controller.is_complete(self.state) and self.state.active:
            with contextlib.suppress(EvolutionError):  # every child so far diverged
                yield from self._of_model(entry.task, self.controller.best(self.state))
        for child in children:
            cycle = child.verdict.best_cycle
            if cycle is not None and self._trials < MOST_TRIALS:
                self._trials += 1
                metrics = {
                    "hparam/validation": child.training.qualities[cycle].value,
                    "hparam/kept": float(child.verdict.is_kept),
                }
                yield Trial(str(child.plan.id), mutations.hyperparameters(child), metrics)

    def _of_model(self, task: TaskName, model: ModelRecord) -> Iterator[Scalar]:
        """Of a task's model, retained or the best candidate."""
        tag = self._tags[task]
        if model.quality is not None:
            yield Scalar(f"task/{tag}/validation", model.quality.value)
        if model.test_quality is not None:
            yield Scalar(f"task/{tag}/test", model.test_quality.value)
        params = sum(self.state.components[id].num_params for id in self.state.used_by(model))
        yield Scalar(f"task/{tag}/params", params)
        yield from self._sizes_of(task, model)

    def _sizes_of(self, task: TaskName, model: ModelRecord) -> Iterator[Scalar]:
        """Score and accounted parameters, which change when other tasks share; where they did."""
        accounted = judging.accounted_params(self.state, model.components.values(), task)
        now = (self.controller.score(self.state, model), accounted)
        if self._sizes.get(task) != now:
            self._sizes[task] = now
            yield Scalar(f"task/{self._tags[task]}/score", now[0])
            yield Scalar(f"task/{self._tags[task]}/accounted_params", now[1])

    def _of_retained(self, changed: Sequence[TaskName]) -> Iterator[Scalar | Picture]:
        """At the end of a phase: the task's model, what changed for others, the system, and its graph."""
        state = self.state
        models = {task: state.models[model] for task, model in state.retained.items()}
        for task in changed:
            yield from self._of_model(task, models[task])
        for task, model in models.items() if len(models) <= _MOST_FOLLOWED else ():
            if task not in changed:
                yield from self._sizes_of(task, model)
        test = overview.mean(model.test_quality for model in models.values())
        if test is not None:
            yield Scalar("system/mean_test", test)
        yield Scalar("system/params_per_task", judging.params_per_task(state))
        if len(models) <= svg.MOST_TASKS:
            plan = self.controller.plan(state)
            drawn = graph.build(plan.living, models, state.components, self._trained_last, plan.numbers)
            yield Picture("system/graph", svg.to_svg(drawn))

    def _trained_last(self, component: ComponentId) -> TaskName | None:
        record = self.state.components[component]
        last = next(iter(record.cycles), None) if len(record.cycles) <= 1 else self._published[component]
        return None if last is None else self.controller.plan(self.state).called(last, record.model)


def tags(names: Iterable[TaskName]) -> dict[TaskName, str]:
    """What tasks are called in tags, all different: letters, digits, `_ - . /`; whatever else there is becomes `_`."""
    found: dict[TaskName, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        plain = tag = re.sub(r"[^-/\w.]", "_", name).strip("/") or "_"
        number = 2
        while tag in taken:
            tag, number = f"{plain}_{number}", number + 1
        taken.add(tag)
        found[name] = tag
    return found
