"""The nouns of munet, each defined once: components, models, children, generations and what the journal records.

All are frozen values and hold no arrays: a model is a list of component ids plus hyper-parameters, lineage and
measurements (DESIGN decision 1). Glossary in DESIGN section 7; the paper's sections are named where they apply.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from munet.quality import Quality as Quality  # one of the nouns, in a room of its own

ComponentId = str  # SHA-256 over record and bytes, 64 hexadecimal digits
# "embedding", "cls", "posembed_input", "residual_adapter_0", "lora_0", "encoderblock_0", "encoder_norm", "head"
ComponentName = str
ModelId = int  # counts up over the whole run; the root model is 0
TaskName = str
HyperparameterValue = bool | int | float | str
Hyperparameters = Mapping[str, HyperparameterValue]  # every name that evolution/search_space.py gives the run

Origin = Literal["root", "root-resized", "init", "clone", "low_rank"]
ROOT_MODEL: ModelId = 0
ROWS, COLUMNS = "/U", "/V"  # what the two factors of a low-rank leaf have behind its path


@dataclass(frozen=True)
class Leaf:
    """One array of a component: its shape and dtype name ("float32")."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """The number of elements of the array."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ComponentRecord:
    """What is known of a published component, apart from its bytes (DESIGN decision 2).

    Attributes:
      name: the layer it is, e.g. `encoderblock_0`.
      leaves: arrays by path inside the component, e.g. `MlpBlock_3/Dense_0/kernel`, sorted by path, as they are stored;
        of a matrix that is stored in low rank the two factors, `.../kernel/U` and `.../kernel/V`.
      origin: `root` (from the checkpoint), `root-resized` (its position embedding at another image size, the
        checkpoint's own being `parent`), `init` (new parameters), `clone` (trained from a copy of `parent`) or
        `low_rank` (`parent` stored as what it adds to `base`).
      parent: the component it was copied from, if any (it may have been collected since).
      model: the model that created it (0: the root); of a low-rank one the model that trained its parent.
      cycles: training cycles received on each task, inherited ones included, in the order of the tasks' first ones;
        of a long descent only the last (`evolution/records.py`).
      base: the component that a low-rank one is added to; it is kept and counted as long as the other is used.
    """

    name: ComponentName
    leaves: Mapping[str, Leaf]
    origin: Origin
    parent: ComponentId | None = None
    model: ModelId = ROOT_MODEL
    cycles: Mapping[TaskName, int] = field(default_factory=dict)
    base: ComponentId | None = field(default=None, metadata={"omit_default": True})

    @cached_property  # asked for with every score
    def num_params(self) -> int:
        """Number of parameters, all leaves together: those that are stored, without a base's."""
        return sum(leaf.size for leaf in self.leaves.values())

    @cached_property
    def layer_leaves(self) -> Mapping[str, Leaf]:
        """The arrays of the layer as whoever loads it gets them: a matrix where two factors are stored."""
        if self.base is None:
            return self.leaves
        layer: dict[str, Leaf] = {}
        for path, leaf in self.leaves.items():
            if path.endswith(ROWS):
                columns = self.leaves[path.removesuffix(ROWS) + COLUMNS]
                layer[path.removesuffix(ROWS)] = Leaf((*leaf.shape[:-1], *columns.shape[1:]), leaf.dtype)
            elif not path.endswith(COLUMNS):
                layer[path] = leaf
        return {path: layer[path] for path in sorted(layer)}

    @cached_property
    def layer_size(self) -> int:
        """Number of elements of the layer's arrays, however few parameters are stored of it."""
        return sum(leaf.size for leaf in self.layer_leaves.values())

    @property
    def is_root(self) -> bool:
        """Whether it carries the permanent "not trainable" lock of the root (spec section 3)."""
        return self.origin in ("root", "root-resized")


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
    """One mutation that fired (paper section 3; spec section 5, lines 26-33).

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
    is_seed: bool  # the parent was a seed parent taken in lines 10-13: head only, no mutations
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

    `data_mutations` are those of the data settings, which all children of a generation share (spec section 5).
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
    """The controller's judgement of a trained child (spec section 5, lines 36-50).

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
class ModelRecord:
    """A model: one task's path through components, with its hyper-parameters, lineage and measurements.

    Attributes:
      id: unique in the run, counting up from the root's 0.
      task: the task it solves; None for the root.
      parent: its nearest retained ancestor; None for the root.
      hyperparameters: all of them, by name.
      components: component id by component name, in path order.
      quality: validation quality of its best cycle; None for the root.
      offspring: children created from it for its own task (Eq. 1).
      test_quality: measured once, at the end of the phase that retained it; never used for decisions.
      latency: seconds an image, measured where the score counts it.
    """

    id: ModelId
    task: TaskName | None
    parent: ModelId | None
    hyperparameters: Hyperparameters
    components: Mapping[ComponentName, ComponentId]
    quality: Quality | None = None
    offspring: int = 0
    test_quality: Quality | None = None
    latency: float | None = field(default=None, metadata={"omit_default": True})


@dataclass(frozen=True)
class ChildCost:
    """What training a child cost. Never part of any decision or hash of a component."""

    image_steps: int  # images seen in training, all cycles; forward passes for a head of class means count a third
    seconds: float  # device time attributed to the child (its share of its wave's)
    program: str = ""  # static signature of the train program that it ran in


@dataclass(frozen=True)
class ChildEntry:
    """A child as the journal records it; rejected and failed children too."""

    plan: ChildPlan
    training: CycleQualities
    verdict: Verdict
    cost: ChildCost
    components: Mapping[ComponentName, ComponentId] = field(default_factory=dict)  # empty unless kept
    # seconds an image, measured before the verdict where the score counts it
    latency: float | None = field(default=None, metadata={"omit_default": True})


@dataclass(frozen=True)
class SeedsEntry:
    """How well the models that a phase may take as seed parents fit its task, measured before its first generation.

    There is one only where `seed_choice` is by fit and there are more such models than `max_seed_parents`.

    Attributes:
      position: the beginning of the phase.
      task: the active one.
      fits: the estimate of every candidate, in [0, 1] (`measure/trunk_fit.py`); which are taken follows from it.
      image_steps: training images that cost as much as the estimates' forward passes.
    """

    position: Position
    task: TaskName
    fits: Mapping[ModelId, float]
    image_steps: int = field(default=0, metadata={"omit_default": True})


@dataclass(frozen=True)
class GenerationEntry:
    """One generation in the journal: its children, and the records of the components that they published.

    `data_mutations` are the plan's; journals written before they were recorded have none.
    """

    position: Position
    task: TaskName
    children: tuple[ChildEntry, ...]
    published: Mapping[ComponentId, ComponentRecord] = field(default_factory=dict)
    data_mutations: tuple[Mutation, ...] = ()


@dataclass(frozen=True)
class PhaseEntry:
    """The end of an active phase: the one retained model of the task, with its test quality.

    What follows on it is there to be read and decides nothing: counts by class, over the whole test split and over the
    validation images that qualities are counted on (all measured alone in one program: beside the children of its
    generation, on other devices, the model may have had another image right), and which classes were taken for which:
    triples (class, predicted class, images), most images first. `test_right` says which test images are right
    (`right_images`): so two models are compared. Journals written before they were recorded have none.
    """

    position: Position
    task: TaskName
    retained: ModelId
    test_quality: Quality
    test_correct_per_class: tuple[int, ...] = ()
    test_counted_per_class: tuple[int, ...] = ()
    test_confusions: tuple[tuple[int, ...], ...] = ()
    validation_correct_per_class: tuple[int, ...] = ()
    validation_counted_per_class: tuple[int, ...] = ()
    validation_confusions: tuple[tuple[int, ...], ...] = ()
    test_right: str = field(default="", metadata={"omit_default": True})


@dataclass(frozen=True)
class CompressedModel:
    """A task's model stored in fewer parameters: another model, for it computes other numbers.

    Attributes:
      replaces: the retained model that it stands for; hyper-parameters and lineage are that one's.
      components: component id by component name, in path order.
      quality: validation quality, measured alone.
      uncompressed: that of the model it replaces, measured in the same way.
      measured: the new model's id, its test quality, and the counts by class, as the end of a phase has them.
    """

    replaces: ModelId
    components: Mapping[ComponentName, ComponentId]
    quality: Quality
    uncompressed: Quality
    measured: PhaseEntry


@dataclass(frozen=True)
class CompressionEntry:
    """Retained models of a complete run replaced by compressed ones (`munet compress`).

    Attributes:
      position: of a complete run.
      models: the new ones, in the order of the models that they replace.
      published: the records of the components that they brought.
      tolerance: points of validation quality that a task might lose; None: a standard error of it.
    """

    position: Position
    models: tuple[CompressedModel, ...]
    published: Mapping[ComponentId, ComponentRecord] = field(default_factory=dict)
    tolerance: float | None = None


Objective = Literal["", "value", "next_token"]  # "": a class


@dataclass(frozen=True)
class TaskInfo:
    """What the journal's first entry holds of a task; resuming on other data is refused.

    `image_shape` is the height, width and channels that the task's images were brought to, as whoever predicts has to;
    `()` in journals written before it was noted, or where images are first decoded in training. `objective` is what is
    predicted of an example: its class ("" in files, as ever), a `value`, or the `next_token` of a text, whose symbols
    are the classes then.
    """

    name: TaskName
    uri: str
    fingerprint: str  # hash of the source's identity and split sizes
    class_names: tuple[str, ...]
    num_train: int
    num_validation: int
    num_test: int
    image_shape: tuple[int, ...] = field(default=(), compare=False, kw_only=True, metadata={"omit_default": True})
    objective: Objective = field(default="", kw_only=True, metadata={"omit_default": True})

    @property
    def num_classes(self) -> int:
        """Number of head outputs."""
        return len(self.class_names)


@dataclass(frozen=True)
class StartEntry:
    """The journal's first entry: everything later entries rely on."""

    format_version: int
    experiment: Mapping[str, object]  # the validated experiment part of the config, as plain JSON values
    tasks: tuple[TaskInfo, ...]
    root: ModelRecord
    published: Mapping[ComponentId, ComponentRecord]  # the root's components, and its position embedding as stored
    root_checkpoint: Mapping[str, object] = field(default_factory=dict)  # path, SHA-256, variant
    preprocessing: Mapping[str, object] = field(default_factory=dict)  # value range, resize method
    versions: Mapping[str, str] = field(default_factory=dict)  # python, jax, ... versions
    layout: Mapping[str, object] = field(default_factory=dict)  # devices, chunking
    folder: str = field(default="", metadata={"omit_default": True})  # from which relative paths of tasks go; "": none


@dataclass(frozen=True)
class ExtendEntry:
    """Tasks and phases that a run got after it had begun (`munet extend`).

    Attributes:
      position: where the run stood.
      tasks: the new ones, which follow on those that it had.
      phases: the task of every phase that comes behind those that were to come, in order.
      settings: fields of the experiment that are otherwise in these phases, in groups as in a config.
    """

    position: Position
    tasks: tuple[TaskInfo, ...]
    phases: tuple[TaskName, ...]
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ForgetEntry:
    """A task that a complete run has no more (`munet forget`): its model, and what only that used.

    Attributes:
      position: of a complete run.
      task: its name, which another task may have from then on.
      retained: the model that is gone.
    """

    position: Position
    task: TaskName
    retained: ModelId


JournalEntry = StartEntry | SeedsEntry | GenerationEntry | PhaseEntry | CompressionEntry | ExtendEntry | ForgetEntry
