"""Every setting of Gumbel-Matrix routing (`munet train --config=gumbel:...`), with its default and what it may be."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from munet.config import rules
from munet.config.rules import Rules, length, repeated
from munet.config.train import JointDefaults, TrainExperiment, TrainRuntime
from munet.config.values import Automatic, CropShare, NonNegative, Positive, Range, Share

Allocation = Literal["learnt", "all", "own", "given"]
ALLOCATIONS: dict[Allocation, str] = {  # what people call them
    "learnt": "Gumbel-Matrix routing",
    "all": "Shared bottom",
    "own": "No sharing",
    "given": "Given rows",
}
Made = Literal["", "pair", "two_pairs"]
MADE: dict[str, int] = {"pair": 2, "two_pairs": 4}  # sets of tasks that are drawn, and how many tasks they are
NetworkName = Literal["sines_parallel", "sines", "mnist", "omniglot", "omniglot_small", "clusters", "vit"]
WIDTHS: dict[str, tuple[int, ...]] = {  # components of every routed layer
    "sines_parallel": (4,),
    "sines": (4,),
    "mnist": (4, 4, 4),
    "omniglot": (7,) * 8,
    "omniglot_small": (7,) * 4,
    "clusters": (16,) * 3,
}  # of network="vit" it is `versions` in each block

# Settings of network="vit" alone.
_OF_ROOTS = (
    "root", "variant", "num_blocks", "versions", "version_noise", "crop_area_min", "crop_aspect_min", "flip"
)  # fmt: skip
_OF_CONNECTIONS = ("budget", "disconnect_", "connection_", "entropy_")  # how settings of penalties begin


@dataclass(slots=True)
class RoutingExperiment:
    """Everything that changes the result; must match when training is resumed."""

    seed: NonNegative = 0  # of weights, order, samples and connections; replicas have this and the next ones
    replicas: Positive = 1  # trainings of as many seeds, side by side in one program
    # of tasks that are made, and of the splits of sets that have none of their own; -1: `seed`
    data_seed: Annotated[int, Range(-1)] = 0
    tasks: tuple[str, ...] = ()  # URIs of image classification, e.g. "tfds:mnist"; or none, and `made`
    # tasks of values that are drawn: a "pair" whose directions have the cosine `rho`, or "two_pairs", equal inside
    made: Made = ""
    rho: Share = 1.0  # of made="pair": 1 is twice the same task
    # which layers: see docs/howto/routing.md
    network: NetworkName = "mnist"
    image_size: Positive = 28  # pixels on a side
    is_grey: bool = True  # images have one channel
    inverts: bool = False  # black is 1 and white 0, as for ink on paper
    padding: NonNegative = 0  # zeros around training images, of which a random crop of image_size is taken

    # of network="vit": the root, of whose blocks there are `versions` side by side
    root: str = "demo"  # as of `munet evolve`
    variant: str = "demo/16"  # the root's architecture: demo/16, Ti/16, S/16, B/16, L/16, ...
    num_blocks: Positive = 3  # how many of the root's first blocks are used
    versions: Positive = 3  # of each block; 1: nothing is routed, every task has the same trunk
    # by which versions differ at first: standard deviation, in that of each of the root's kernels
    version_noise: Annotated[float, Range(0)] = 0.1
    crop_area_min: CropShare = 0.5  # of network="vit": smallest share of a training image that a random crop keeps
    crop_aspect_min: CropShare = 0.75  # a crop's sides differ by at most this ratio
    flip: bool = False  # left/right, with probability 0.5

    # "learnt" connections; every task uses "all" components (shared bottom); task i uses its "own", component i (no
    # sharing); or the rows that are "given"
    allocation: Allocation = "learnt"
    rows: tuple[str, ...] = ()  # of allocation="given", one a task: 0 and 1 by component, layers separated by "|"
    combination: Literal["mean", "sum"] = "mean"  # of the active components of a layer
    # probability of each connection at first: one number, or one for every connection, task by task
    p_init: tuple[float, ...] = (0.5,)
    budget: Annotated[float, Range(0, 1, excluded=0, one="no budget")] = 1.0  # share of connections that costs nothing
    budget_weight: Annotated[float, Range(0)] = 1.0  # of what is above the budget
    budget_of: Literal["task", "all"] = "task"  # whose connections are counted: the current task's, or all tasks'
    disconnect_weight: Annotated[float, Range(0)] = 0.0  # of the probability that a layer has no active component
    connection_weight: Annotated[float, Range(0)] = 0.0  # of the expected number of connections
    entropy_weight: Annotated[float, Range(0)] = 0.0  # of the entropy of connections, at the end of training
    entropy_power: Annotated[float, Range(0)] = 1.0  # with which that weight grows

    num_epochs: Annotated[float, Range(0)] = 0.0  # passes over the largest training set; give this or num_rounds
    num_rounds: NonNegative = 0  # length of training; a round is an update for every task; give this or num_epochs
    batch_size: Positive = 16  # images of a task in its update
    validate_every: Automatic = 0  # rounds between two measurements; 0: a tenth of the training
    keep: Literal["quality", "loss", "last"] = "last"  # which version counts: the best validation, or the last one
    learning_rate: Annotated[float, Range(0, 100, excluded=0)] = 0.005  # of weights
    schedule: Literal["constant", "cosine"] = "constant"  # of the weights' rate; of the logits' it is constant
    warmup_ratio: Share = 0.1  # of schedule="cosine": share of the updates that rise to the rate
    # of logits; -1: as learning_rate; 0: connections stay as probable as p_init says
    router_learning_rate: Annotated[float, Range(-1, 1000)] = -1.0
    clip_norm: Annotated[float, Range(0, zero="off")] = 0.0  # gradients are clipped to this global norm
    l2: Annotated[float, Range(0)] = 0.0  # of half the squared weights, added to every loss; not of biases and logits
    moves_others: bool = True  # an update moves other tasks' logits and heads, too, by their momentum, as Adam does

    @property
    def seed_of_data(self) -> int:
        """Of tasks that are made, and of splits."""
        return self.seed if self.data_seed < 0 else self.data_seed

    @property
    def router_rate(self) -> float:
        """The learning rate of logits."""
        return self.learning_rate if self.router_learning_rate < 0 else self.router_learning_rate


@dataclass(slots=True)
class RoutingConfig:
    """What `munet train --config=gumbel:...` does."""

    experiment: RoutingExperiment = field(default_factory=RoutingExperiment)
    runtime: TrainRuntime = field(default_factory=lambda: TrainRuntime(block_rounds=100))


def as_train(experiment: RoutingExperiment) -> TrainExperiment:
    """The joint fine-tuning that has the same data and the same root, of network="vit"."""
    return TrainExperiment(
        data_seed=experiment.seed_of_data,
        tasks=experiment.tasks,
        root=experiment.root,
        variant=experiment.variant,
        num_blocks=experiment.num_blocks,
        batch_size=experiment.batch_size,
        defaults=JointDefaults(image_size=experiment.image_size),
    )


def ignored_settings(experiment: RoutingExperiment) -> list[str]:
    """What was set and has no effect beside the other settings, with the reason, e.g. a budget of fixed connections."""
    unused = dict[str, str]()
    if experiment.allocation != "learnt":
        penalties = (name for name in RoutingExperiment.__slots__ if name.startswith(_OF_CONNECTIONS))
        unused |= dict.fromkeys(penalties, f"allocation={experiment.allocation!r}")
    of_other = ("inverts", "padding") if experiment.network == "vit" else _OF_ROOTS
    unused |= dict.fromkeys(of_other, f'network="{experiment.network}"')
    if experiment.schedule == "constant":
        unused["warmup_ratio"] = 'schedule="constant"'
    if experiment.made != "pair":
        unused["rho"] = f"made={experiment.made!r}"
    defaults = RoutingExperiment()
    return [
        f"experiment.{name} (with {reason})"
        for name, reason in unused.items()
        if getattr(experiment, name) != getattr(defaults, name)
    ]


def widths_of(network: str, versions: int, num_blocks: int) -> tuple[int, ...]:
    """How many components each routed layer of a network has."""
    if network == "vit":
        return (versions,) * num_blocks if versions > 1 else ()
    return WIDTHS.get(network, ())


def num_tasks(tasks: Sequence[str], made: str) -> int:
    """How many tasks there are."""
    return MADE.get(made, len(tasks))


def task_problems(tasks: Sequence[str], made: str) -> Iterator[str]:
    """Tasks come from somewhere, and from one place."""
    if tasks and made:
        yield f"experiment.tasks and experiment.made = {made!r}: give one of them."
    elif not tasks and not made:
        yield "experiment.tasks is empty: give task URIs, e.g. --config.tasks=tfds:mnist,tfds:fashion_mnist"


def network_problems(network: str, made: str) -> Iterator[str]:
    """The networks for images take images, the others numbers."""
    takes_numbers = network.startswith("sines")
    if takes_numbers != bool(made):
        names = [*WIDTHS, "vit"]
        fitting = ", ".join(repr(name) for name in names if name.startswith("sines") == bool(made))
        what = "numbers" if made else "images"
        yield f"experiment.network = {network!r} is not made for {what}: use {fitting}."


def allocation_problems(
    allocation: str,
    rows: Sequence[str],
    network: str,
    tasks: Sequence[str],
    made: str,
    versions: int,
    num_blocks: int,
) -> Iterator[str]:
    """Fixed patterns fit tasks and components."""
    count, widths = num_tasks(tasks, made), widths_of(network, versions, num_blocks)
    if allocation == "own" and (wrong := sorted({width for width in widths if width != count})):
        yield (
            "experiment.allocation = 'own': no sharing needs as many components as tasks in every layer: "
            f"{count}, not {', '.join(map(str, wrong))}."
        )
    if allocation != "given":
        if rows:
            yield f"experiment.rows is for allocation='given', not {allocation!r}: remove one of them."
        return
    example = "|".join("1" * width for width in widths)
    if len(rows) != count:
        yield f"experiment.rows has {len(rows)} rows, for {count} tasks: give one a task, such as {example!r}."
    for number, row in enumerate(rows):
        if set(row) - set("01|"):
            yield f"experiment.rows[{number}] = {row!r}: expected 0, 1 and |, such as {example!r}."
        elif tuple(map(len, row.split("|"))) != widths:
            yield (
                f"experiment.rows[{number}] = {row!r} is not of the size of {network!r}: expected one 0 or 1 for each "
                f"component, such as {example!r}."
            )


def p_init_problems(
    p_init: Sequence[float], network: str, tasks: Sequence[str], made: str, versions: int, num_blocks: int
) -> Iterator[str]:
    """Probabilities, one or one for each connection."""
    if wrong := [p for p in p_init if not 0 <= p <= 1 or math.isnan(p)]:
        yield f"experiment.p_init has {wrong[0]:g}: probabilities are from 0 to 1."
    count, width = num_tasks(tasks, made), sum(widths_of(network, versions, num_blocks))
    if len(p_init) not in (1, count * width):
        yield (
            f"experiment.p_init has {len(p_init)} numbers: give one, or {count * width}, one for each of {count} tasks "
            f"and {width} components, task by task."
        )


def rate_problems(router_learning_rate: float) -> Iterator[str]:
    """A mistyped sign is no "as learning_rate"."""
    if -1 < router_learning_rate < 0:
        yield (
            f"experiment.router_learning_rate = {router_learning_rate:g}: rates are 0 or more; -1 means as "
            "learning_rate."
        )


def value_problems(made: str, keep: str, num_epochs: float) -> Iterator[str]:
    """Tasks of values are drawn without end, and have no classes."""
    if made and keep == "quality":
        yield f"experiment.keep = 'quality': the tasks of made={made!r} have no accuracy; use 'loss' or 'last'."
    if made and num_epochs:
        yield f"experiment.num_epochs = {num_epochs:g}: the tasks of made={made!r} never end; give num_rounds."


def root_problems(network: str, is_grey: bool, versions: int, allocation: str) -> Iterator[str]:
    """A root sees colours; one version of each block leaves nothing to decide."""
    if network != "vit":
        return
    if is_grey:
        yield "experiment.is_grey: a root sees three channels; set it to false."
    if versions == 1 and allocation != "all":
        yield (
            f"experiment.allocation = {allocation!r} with experiment.versions = 1: there is one version of each block, "
            "which every task uses; set 'all', or more versions."
        )


def _of_root(rule: Callable[..., Iterator[str]], *names: str) -> tuple[Any, ...]:
    """A rule of several kinds for fields of network="vit"."""

    def checked(network: str, *values: Any) -> Iterator[str]:
        return rule(*values) if network == "vit" else iter(())

    return (checked, *(f"experiment.{name}" for name in ("network", *names)))


_ROWS = ("network", "tasks", "made", "versions", "num_blocks")  # on which their shape depends

RULES: Rules = (
    (functools.partial(length, name="num_rounds"), "experiment.num_epochs", "experiment.num_rounds"),
    (task_problems, "experiment.tasks", "experiment.made"),
    (functools.partial(repeated, "experiment.tasks names"), "experiment.tasks"),
    (network_problems, "experiment.network", "experiment.made"),
    (allocation_problems, *(f"experiment.{name}" for name in ("allocation", "rows", *_ROWS))),
    (p_init_problems, *(f"experiment.{name}" for name in ("p_init", *_ROWS))),
    (rate_problems, "experiment.router_learning_rate"),
    (value_problems, *(f"experiment.{name}" for name in ("made", "keep", "num_epochs"))),
    (root_problems, *(f"experiment.{name}" for name in ("network", "is_grey", "versions", "allocation"))),
    _of_root(rules.variant, "variant"),
    _of_root(rules.num_blocks, "variant", "num_blocks"),
    _of_root(rules.image_size, "variant", "image_size"),
)
