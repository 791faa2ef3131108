"""Every setting of a MUiR training (`munet train --config=muir:...`), with its default and what it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from munet.config.rules import Rules, num_blocks, tasks, variant
from munet.config.train import JointDefaults, TrainExperiment, TrainRuntime
from munet.config.values import NonNegative, Positive, Range, Share
from munet.text import count

Sharing = Literal["search", "random", "given", "hierarchical", "separate"]
SHARINGS: dict[Sharing, str] = {  # what people call them
    "search": "MUiR + Optimization",
    "random": "MUiR + Random",
    "given": "MUiR + Oracle",
    "hierarchical": "Hierarchical alignment",
    "separate": "Single task",
}


@dataclass(slots=True)
class MuirExperiment:
    """Everything that changes the result; must match when training is resumed."""

    seed: NonNegative = 0  # of initial values, order and search; replicas have this and the next ones
    replicas: Positive = 1  # trainings of as many seeds, side by side in one program
    tasks: tuple[str, ...] = ()  # task URIs, e.g. "muir:synthetic.npz?task=7"
    # which block uses which module. "search": winners of the alignment search; "random": the same with winners drawn;
    # "given": one module for the tasks of a group, always; "hierarchical": the first block of every task one module,
    # the second another, always; "separate": every block for itself, which needs context=0
    sharing: Sharing = "search"
    # whether a block may use modules of other tasks; else of its own task only, which "given" and "hierarchical" do not
    between_tasks: bool = True
    groups: tuple[NonNegative, ...] = ()  # the true group of each task, if it is known: for "given", and for scores
    # the architecture of each task: linear (of numbers), lenet, vit or wide_resnet_DEPTH (of images), lstm_WIDTH or
    # awd_lstm_WIDTH (of texts) or deep_bind_WIDTH (of windows of nucleotides); (): what is for such a task, lstm_128,
    # deep_bind_64, lenet
    nets: tuple[str, ...] = ()
    root: str = "demo"  # with which ViTs begin: as for joint trainings
    variant: str = "demo/16"  # the root's architecture
    num_blocks: Positive = 3  # how many of the root's first blocks are used

    block_rows: Positive = 20  # inputs of a block (m)
    block_columns: Positive = 1  # outputs of a block (n)
    context: NonNegative = 1  # numbers in a location's context (c); 0: blocks are shared as they are
    # that there are (K); 0: as many as blocks begin with, which is one each where it is searched, of "hierarchical" as
    # many as the largest model has blocks, of "given" as many as groups
    modules: NonNegative = 0
    # whether every block has a private diagonal added to it, which starts at 0 (parallel adapters); of "hierarchical"
    # and "given" only
    adapters: bool = False
    challengers: NonNegative = 8  # for every location that is drawn (lambda), of "search" and "random"; 0: no search
    share: Share = 0.5  # of the locations that are drawn in a generation (p); 0: no search
    new_module: Share = 1e-4  # probability that a challenger is a module that nobody uses (epsilon)
    # of the weight that challengers have together when a generation starts (alpha); 0: each as much as the incumbent
    challenger_share: Annotated[float, Range(0, 1, excluded=1)] = 0.0

    burn_in: NonNegative = 0  # generations before the search
    generations: Positive = 1000  # of the search
    final_generations: NonNegative = 200  # after it, from the best version on
    generation_rounds: Positive = 100  # in a generation; a round is a batch of every task
    batch_size: Positive = 10  # examples of each task in a round; a smaller training set is one batch
    batch_sizes: tuple[int, ...] = ()  # the same for each task; (): batch_size for all
    text_steps: Positive = 35  # symbols of a text in a round; a batch is as many pieces of it that run side by side
    flip: bool = True  # left/right, with probability 0.5, of training images
    learning_rate: Annotated[float, Range(0, 100, excluded=0)] = 1e-3  # Adam's
    score_learning_rate: Annotated[float, Range(0, 100, excluded=0)] = 0.01  # Adam's, of the candidates' scores
    # the version that final generations begin with: best by validation, or last; without final generations the best one
    # is measured beside the last one, whose weights are those that are written
    keep: Literal["loss", "last"] = "loss"

    # weights at the start: "he" (normal), or "framework" (PyTorch's uniform; of "separate" only). DeepBind's, whose
    # published baseline has He's, and those of a root are the same in both
    initial: Literal["he", "framework"] = "he"
    # the context's first value: "variance" keeps the weights' variance for every context; "paper" is Eq. 7 as printed
    context_scale: Literal["variance", "paper"] = "variance"
    # what validation measures inside of a generation: "refined", with the winners as they are now, or "merged" as it
    # trains; tests are always of the winners, which are what is published
    measured: Literal["refined", "merged"] = "refined"
    reset_new_moments: bool = True  # Adam's, of modules that are initialised anew; the published code keeps them


@dataclass(slots=True)
class MuirConfig:
    """What `munet train` does with MUiR."""

    experiment: MuirExperiment = field(default_factory=MuirExperiment)
    runtime: TrainRuntime = field(default_factory=lambda: TrainRuntime(block_rounds=100))


IMAGE_SIZE = 32  # of all tasks of images, whatever their network


def is_of_a_root(experiment: MuirExperiment) -> bool:
    """Whether every task's model is a copy of a root."""
    return bool(experiment.nets) and set(experiment.nets) == {"vit"}


def as_train(experiment: MuirExperiment) -> TrainExperiment:
    """The joint fine-tuning that has the same data and the same root, where every model is a copy of a root."""
    return TrainExperiment(
        data_seed=experiment.seed,
        tasks=experiment.tasks,
        root=experiment.root,
        variant=experiment.variant,
        num_blocks=experiment.num_blocks,
        batch_size=experiment.batch_size,
        defaults=JointDefaults(image_size=IMAGE_SIZE),
    )


def problems(
    sharing: Sharing,
    groups: tuple[int, ...],
    tasks: tuple[str, ...],
    context: int,
    initial: str,
    nets: tuple[str, ...],
    batch_sizes: tuple[int, ...],
    adapters: bool,  # a setting's value
    between_tasks: bool,
) -> Iterator[str]:
    """What does not fit together, a sentence each."""
    of_tasks = count(len(tasks), "task")
    for name, values in (("nets", nets), ("batch_sizes", batch_sizes)):
        if values and len(values) != len(tasks):
            entries = count(len(values), "entry", "entries")
            yield f"experiment.{name} has {entries} for {of_tasks}: give one for each, or none."
    if wrong := [size for size in batch_sizes if size < 1]:
        yield f"experiment.batch_sizes has {wrong[0]}: expected numbers from 1."
    if groups and len(groups) != len(tasks):
        yield (f"experiment.groups has {count(len(groups), 'number')} for {of_tasks}: give one for each task, or none.")
    if sharing == "given" and not groups:
        yield 'experiment.sharing = "given" needs experiment.groups: the group of each task, such as 0,0,1,1.'
    if sharing == "given" and groups and max(groups) >= len(tasks) > 0:
        yield (
            f"experiment.groups names group {max(groups)} of {len(tasks)} tasks: each group has a module of its "
            f"number, from 0. Use 0 to {len(tasks) - 1}."
        )
    if context == 0 and sharing in ("search", "random"):
        yield (
            f"experiment.context = 0 beside experiment.sharing = {sharing!r}: without contexts blocks of different "
            'scales cannot share, so there is nothing to search. Use experiment.context = 1, or sharing = "given".'
        )
    if context and sharing == "separate":
        yield (
            f'experiment.context = {context} beside experiment.sharing = "separate": a block that nobody shares has no '
            'context. Use experiment.context = 0, or sharing = "given" or "search".'
        )
    if adapters and sharing not in ("hierarchical", "given"):
        yield (
            f"experiment.adapters = true beside experiment.sharing = {sharing!r}: parallel adapters stand beside "
            "blocks that share by a fixed rule. Use experiment.adapters = false, or "
            'sharing = "hierarchical" or "given".'
        )
    if not between_tasks and sharing in ("hierarchical", "given"):
        yield (
            f"experiment.between_tasks = false beside experiment.sharing = {sharing!r}: its rule says which tasks "
            'share. Use experiment.between_tasks = true, or sharing = "search" or "separate".'
        )
    if initial == "framework" and sharing != "separate":
        yield (
            f'experiment.initial = "framework" beside experiment.sharing = {sharing!r}: generated weights are normal. '
            'Use initial = "he", or sharing = "separate".'
        )


_TOGETHER = ("sharing", "groups", "tasks", "context", "initial", "nets", "batch_sizes", "adapters", "between_tasks")
RULES: Rules = (
    (tasks, "experiment.tasks"),
    (variant, "experiment.variant"),
    (num_blocks, "experiment.variant", "experiment.num_blocks"),
    (problems, *(f"experiment.{name}" for name in _TOGETHER)),
)
