"""Children: what the controller proposes, what training gives of it, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from munet.quality import Quality
from munet.types.names import ComponentId, ComponentName, Hyperparameters, HyperparameterValue, ModelId, TaskName


@dataclass(frozen=True)
class Position:
    """Where a run stands: task iteration, index of the active task, generation; all count from 0.

    `generation == num_generations` means that every generation of the phase is judged and the phase is to be closed.
    Of a run that is complete it is the beginning of an iteration that there is not.
    """

    task_iteration: int = 0
    task_index: int = 0
    generation: int = 0


@dataclass(frozen=True)
class Mutation:
    """One mutation that fired (paper section 3).

    Attributes:
      kind: `clone`, `insert` (an adapter or a low-rank update), `num_blocks`, `hyperparameter`, or `compress` (layers
        are stored in low rank: of a finished model, in a stage of that name).
      target: the component's or the hyper-parameter's name; of `compress` "layers".
      before, after: values for `num_blocks` and `hyperparameter`, else None.
      effective: False for a step off the end of a list, which changes nothing but did fire.
      forced: fired by rule, not by chance (the encoder norm of mutated children; baselines).
    """

    kind: Literal["clone", "insert", "num_blocks", "hyperparameter", "compress"]
    target: str
    before: HyperparameterValue | None = None
    after: HyperparameterValue | None = None
    effective: bool = True
    forced: bool = False

    def describe(self) -> str:
        """In words, for people: `clone encoderblock_1`, `learning_rate 0.01 -> 0.02`."""
        if self.kind == "clone":
            return f"clone {self.target}"
        if self.kind == "insert":
            return f"insert {self.target}"
        if self.kind == "compress":
            return f"store {self.target} in low rank"
        if not self.effective:
            return f"{self.target} stays {self.before}"
        return f"{self.target} {self.before} -> {self.after}"


@dataclass(frozen=True)
class ComponentPlan:
    """How a child comes by one component.

    Attributes:
      name: the component's name.
      action: `share` (use `source` as it is), `clone` (train a copy of `source`), `init` (train new parameters),
        `resize` (the position embedding `source` of the root resized to the child's image size).
      source: the component shared, cloned or resized; None for `init`.
      trainable: whether the child trains it. Always for `clone` and `init`, never for `share`; a `resize` is
        trainable only if its clone mutation fired (then it is published as a clone).
    """

    name: ComponentName
    action: Literal["share", "clone", "init", "resize"]
    source: ComponentId | None
    trainable: bool


@dataclass(frozen=True)
class ChildPlan:
    """A child proposed by the controller, before training."""

    id: ModelId
    task: TaskName
    parent: ModelId
    is_seed: bool  # the parent was a seed parent (Algorithm 1, lines 10-13): head only, no mutations
    hyperparameters: Hyperparameters
    components: tuple[ComponentPlan, ...]  # in path order: input to output
    mutations: tuple[Mutation, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether the child is trained; the one of a `compress` stage is its parent, stored in fewer parameters."""
        return all(mutation.kind != "compress" for mutation in self.mutations)


@dataclass(frozen=True)
class GenerationPlan:
    """The children that are trained side by side.

    `data_mutations` are those of the data settings, which all children of a generation share.
    """

    position: Position
    task: TaskName
    children: tuple[ChildPlan, ...]
    data_mutations: tuple[Mutation, ...] = ()


@dataclass(frozen=True)
class CycleQualities:
    """What training a child gave: the validation quality of each cycle, and where the child diverged, if it did.

    `diverged_at` is the first cycle (from 0) whose parameters or loss are not finite; its quality and later ones are
    never candidates for the best.
    """

    qualities: tuple[Quality, ...]
    diverged_at: int | None = None


@dataclass(frozen=True)
class Verdict:
    """The controller's judgement of a trained child.

    Attributes:
      is_kept: whether the child enters the active population.
      reason: in words, always given: `"0.912 > 0.887 of its parent"`, `"never beat its parent's 0.887"`, ...
      best_cycle: the first cycle with the best quality (from 0); None if no cycle gave a finite result.
      score: the score of that cycle at the time of judgement (Eq. 2); None as above.
      parent_score: the score to beat; None if the parent was not trained on this task.
    """

    is_kept: bool
    reason: str
    best_cycle: int | None = None
    score: float | None = None
    parent_score: float | None = None


@dataclass(frozen=True)
class ChildCost:
    """What training a child cost. Never part of any decision or hash of a component."""

    image_steps: int  # images seen in training, all cycles; forward passes for a head of class means count a third
    seconds: float  # wall time attributed to the child (its share of its wave's), on however many devices
    program: str = ""  # static signature of the train program that it ran in
