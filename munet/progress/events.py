"""Everything a run tells while it goes on: frozen values, so that any listener may show, log or count them.

Order: `RunStarted`, then for each phase `PhaseStarted`, for each generation `GenerationStarted`, `Compiling` while
new programs are compiled, one `CycleEnded` a cycle (both several times, for different children, when the children are
trained in groups), `GenerationEnded`; `PhaseEnded`; at
last `RunEnded`, or `RunFailed`. A resumed run starts with `RunStarted` and goes on where it was. `Note` may come at any
time. A joint training (`munet train`, `munet pretrain`) tells `TrainingStarted`, `Compiling`, then `Advanced` after
every block of rounds, `Measured` and `Decided` where these happen; at last `TrainingEnded`, or `RunFailed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from munet.types import GenerationEntry, GenerationPlan, ModelId, ModelRecord, PhaseEntry, Position, Quality, TaskInfo


@dataclass(frozen=True)
class RunStarted:
    """The run is set up: data loaded, journal replayed.

    Attributes:
      workdir: where the run is kept.
      task_names: in the order in which they become active.
      num_task_iterations, num_generations: of the run (baselines differ from the config).
      stages: of a phase, a generation each, as a config writes them: `evolve:8x5`.
      generations_done: judged in earlier starts of this run.
      image_steps_done: training images that those generations saw, all children together.
      image_steps_total: the same at the end of the run; `generations_done` included.
      title: what is trained where it is not muNet, e.g. "baseline: full fine-tuning".
    """

    workdir: str
    task_names: tuple[str, ...]
    num_task_iterations: int
    num_generations: int
    stages: tuple[str, ...]
    generations_done: int = 0
    image_steps_done: int = 0
    image_steps_total: int = 0
    title: str = ""


@dataclass(frozen=True)
class PhaseStarted:
    """A task becomes active (Algorithm 1, lines 4-6); also when a run resumes inside a phase."""

    task: TaskInfo
    position: Position


@dataclass(frozen=True)
class GenerationStarted:
    """The children are sampled and about to be trained.

    Attributes:
      plan: the children.
      batch_size: images a step.
      steps_per_cycle: steps of one cycle of one child.
      num_programs: groups of children that share a compiled train program.
      num_cycles: cycles of each child.
    """

    plan: GenerationPlan
    batch_size: int
    steps_per_cycle: int
    num_programs: int
    num_cycles: int = 0


@dataclass(frozen=True)
class Compiling:
    """Programs are being compiled, and nothing trains meanwhile.

    First with `done` 0, then whenever another one is ready, at
    last with `done` equal to `total`. Programs that the run compiled before are not among them; where that is all,
    there is no such event.

    Attributes:
      done: programs that are ready.
      total: programs that are wanted now.
    """

    done: int
    total: int


@dataclass(frozen=True)
class CycleEnded:
    """One train/validation cycle of some children is over.

    Attributes:
      cycle: counts from 0.
      qualities: validation quality by child; only the children trained just now.
      image_steps: training images these children saw in this cycle.
      seconds: wall time of the cycle; what was compiled ahead of it is not in it.
    """

    cycle: int
    qualities: Mapping[ModelId, Quality]
    image_steps: int
    seconds: float


@dataclass(frozen=True)
class GenerationEnded:
    """Every child is judged, and the journal has the entry. `seconds` is the wall time since `GenerationStarted`.

    The generation of a `compress` stage trains nothing, and has no `GenerationStarted`.
    """

    entry: GenerationEntry
    seconds: float


@dataclass(frozen=True)
class PhaseEnded:
    """The task's best model is retained and tested.

    Attributes:
      entry: as the journal has it.
      model: the retained model.
      params: parameters of its path, shared ones in full.
      accounted_params: the same with shared ones in part (Eq. 3).
    """

    entry: PhaseEntry
    model: ModelRecord
    params: int
    accounted_params: float


@dataclass(frozen=True)
class Note:
    """Anything else worth a line, e.g. that a run is already complete."""

    text: str


@dataclass(frozen=True)
class RunEnded:
    """The loop is over. `is_complete` is False when it was interrupted; `seconds` counts this start only."""

    is_complete: bool
    seconds: float


@dataclass(frozen=True)
class TrainingStarted:
    """A joint training is set up, and what was saved of it is loaded.

    Attributes:
      workdir: where it is kept.
      title: what is trained, e.g. "Joint fine-tuning".
      task_names: of the tasks that are measured.
      num_rounds: of the whole training, a batch of every stream each.
      images_per_round: of all streams and replicas.
      rounds_done: in earlier starts.
      unit: what a round is called: "step", "round".
      example: what batches are of: "image", "example".
    """

    workdir: str
    title: str
    task_names: tuple[str, ...]
    num_rounds: int
    images_per_round: int
    rounds_done: int = 0
    unit: str = "round"
    example: str = "image"


@dataclass(frozen=True)
class Advanced:
    """A block of rounds is over; for displays, not for logs."""

    round: int


@dataclass(frozen=True)
class Measured:
    """The validation splits are measured.

    Attributes:
      round: rounds before it.
      epoch: the same in passes over the training images.
      training_loss: mean since the last measurement; of the first replica.
      validation: quality by task; of the first replica.
      qualities: mean over the tasks, by replica, where there are several.
      losses: mean over the validation examples, by replica.
    """

    round: int
    epoch: float
    training_loss: float
    validation: Mapping[str, Quality]
    qualities: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()


@dataclass(frozen=True)
class Decided:
    """The learner has changed its state between two blocks; `record` is what it has to say of that, as JSON values."""

    round: int
    seed: int
    record: Mapping[str, object]


@dataclass(frozen=True)
class TrainingEnded:
    """The training is over. `is_complete` is False when it was interrupted; `seconds` counts this start only."""

    is_complete: bool
    seconds: float


@dataclass(frozen=True)
class RunFailed:
    """The start ends with an error, which is told elsewhere too; what was committed is kept."""

    error: str


Event = (
    RunStarted
    | PhaseStarted
    | GenerationStarted
    | Compiling
    | CycleEnded
    | GenerationEnded
    | PhaseEnded
    | Note
    | RunEnded
    | TrainingStarted
    | Advanced
    | Measured
    | Decided
    | TrainingEnded
    | RunFailed
)
Notify = Callable[[Event], None]
