"""The entries of a run's journal, each with what it records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from munet.quality import Quality
from munet.types.children import ChildCost, ChildPlan, CycleQualities, Mutation, Position, Verdict
from munet.types.components import ComponentRecord
from munet.types.models import ModelRecord
from munet.types.names import ComponentId, ComponentName, ModelId, TaskName
from munet.types.tasks import TaskInfo


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
