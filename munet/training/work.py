"""What a phase trains: the sizes that follow from the settings and the active task, worked out once a phase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from munet.config import Experiment
from munet.config.evolve import NewHeads, VersionChoice
from munet.config.stages import Stage
from munet.data import loader
from munet.data.augment import PLAIN_LAWS, AugmentLaws
from munet.evolution import schedule
from munet.evolution.stages import stages
from munet.training.program import precision
from munet.training.program.optimizer import UpdateRule
from munet.types import TaskInfo
from munet.vit import architecture
from munet.vit.architecture import Variant


@dataclass(frozen=True)
class TaskWork:
    """The work that every child of a phase is: the same sizes for all, whatever their mutations.

    Attributes:
      variant: ViT family member.
      num_blocks: of the root: the depth of the programs in which finished models are measured.
      num_classes: of the task.
      batch_size: images in a training batch, all devices of a child together.
      steps_per_cycle: training batches in a cycle.
      num_cycles: cycles that a child trains.
      num_validated: of the first validation images, that a quality is counted over.
      metric: what quality is.
      dtype: of activations and products, "float32" or "bfloat16".
      antialias: whether images are filtered when they shrink.
      class_balanced: whether every class comes equally often in training batches.
      has_own_batches: whether every child sees batches of its own (replicas of a baseline).
      tells_copies_apart: whether children do that are equal to another one of their generation in all.
      update_rule: of the optimiser.
      seed: the run's; new parameters are drawn from it.
      laws: of the augmentations.
      new_heads: what a child's new head starts from.
      version_choice: which version of a child counts.
    """

    variant: Variant
    num_blocks: int
    num_classes: int
    batch_size: int
    steps_per_cycle: int
    num_cycles: int
    num_validated: int
    metric: str
    dtype: str
    antialias: bool
    class_balanced: bool
    has_own_batches: bool
    tells_copies_apart: bool
    update_rule: UpdateRule
    seed: int
    laws: AugmentLaws = PLAIN_LAWS
    new_heads: NewHeads = "zeros"
    version_choice: VersionChoice = "highest"

    @classmethod
    def of(cls, experiment: Experiment, task: TaskInfo, generation: int = 0) -> TaskWork:
        """The work of a task in a run with these settings, on the devices that JAX shows.

        How long a child trains is as planned before the phase; where its stages share a budget, what it really has left
        decides (`of_stage`).
        """
        return cls(
            variant=architecture.get_variant(experiment.variant),
            num_blocks=experiment.num_blocks,
            num_classes=task.num_classes,
            batch_size=loader.effective_batch_size(task.num_train, experiment),
            steps_per_cycle=loader.steps_per_cycle(task.num_train, experiment),
            num_cycles=schedule.planned_cycles(experiment, task)[generation],
            num_validated=loader.num_validated(task.num_validation, experiment),
            metric=experiment.quality_metric,
            dtype=precision.compute_dtype(experiment),
            antialias=experiment.antialias,
            class_balanced=experiment.class_balanced,
            has_own_batches=schedule.streams_per_child(experiment),
            tells_copies_apart=stages(experiment)[generation].tells_copies_apart,
            update_rule=UpdateRule.of(experiment),
            seed=experiment.seed,
            laws=AugmentLaws(experiment.fidelity.crop, experiment.fidelity.colours),
            new_heads="zeros" if schedule.is_baseline(experiment) else experiment.new_heads,
            version_choice=experiment.version_choice,
        )

    def of_stage(self, stage: Stage, num_cycles: int) -> TaskWork:
        """The work of another stage of the phase, whose children train so long."""
        return replace(self, num_cycles=num_cycles, tells_copies_apart=stage.tells_copies_apart)

    @cached_property
    def num_steps(self) -> int:
        """Training batches that a child sees, all cycles together."""
        return self.steps_per_cycle * self.num_cycles

    @cached_property
    def image_steps_per_cycle(self) -> int:
        """Training images that a child sees in a cycle."""
        return self.steps_per_cycle * self.batch_size
