"""What comes of a routed training, and how it is told: who uses what, as rows of blocks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from munet import kinds, text
from munet.types import ComponentId, ComponentName, ComponentRecord, Quality, TaskName

USED, UNUSED = "█", "·"
PROBABILITIES = "probabilities"  # in decisions.jsonl: of all connections by task, a list for each routed layer


@dataclass(frozen=True)
class RoutedTask:
    """What one task's model of one replica is.

    Attributes:
      components: ids by name of what it computes.
      rows: by routed layer, 1 for each component that is used, else 0.
      probabilities: of the same connections.
      validation_loss: of the published version.
      validation, test: accuracies; None of tasks of values.
      test_loss: of tasks of values, measured once, at the end.
      params, accounted_params, flops: of what it computes, each shared parameter in full or divided by its users.
    """

    components: Mapping[ComponentName, ComponentId]
    rows: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...]
    validation_loss: float
    validation: Quality | None
    test: Quality | None
    test_loss: float | None
    params: int
    accounted_params: float
    flops: int

    @property
    def embedding(self) -> str:
        """The rows of all layers, one after the other."""
        return "".join(self.rows)


@dataclass(frozen=True)
class RoutedReplica:
    """What came of one seed."""

    seed: int
    tasks: Mapping[TaskName, RoutedTask]

    @property
    def embeddings(self) -> Float[np.ndarray, "tasks components"]:
        """The binary vector of every task."""
        return np.array([[float(used) for used in task.embedding] for task in self.tasks.values()])

    @property
    def active_share(self) -> float:
        """The share of connections that are used."""
        return float(self.embeddings.mean())

    @property
    def expected_share(self) -> float:
        """The mean probability of all connections."""
        return float(np.mean([p for task in self.tasks.values() for layer in task.probabilities for p in layer]))

    @property
    def num_distinct(self) -> int:
        """How many tasks differ in what they use."""
        return len({task.embedding for task in self.tasks.values()})

    @property
    def usage(self) -> list[list[int]]:
        """Of each routed layer, how many tasks use each of its components."""
        layers = zip(*(task.rows for task in self.tasks.values()), strict=True)
        return [[sum(used == "1" for used in column) for column in zip(*rows, strict=True)] for rows in layers]

    def equal(self, one: TaskName, other: TaskName) -> bool:
        """Whether two tasks use the same components."""
        return self.tasks[one].embedding == self.tasks[other].embedding


@dataclass(frozen=True)
class RoutingResult:
    """What came of a routed training.

    Attributes:
      allocation: what decided the rows.
      replicas: what came of each seed.
      published: records of all components.
      num_rounds: how long.
      image_steps: samples that one replica saw.
      seconds: all starts together, all replicas.
    """

    allocation: str
    replicas: tuple[RoutedReplica, ...]
    published: Mapping[ComponentId, ComponentRecord]
    num_rounds: int
    image_steps: int
    seconds: float

    @property
    def kept(self) -> tuple[str, str]:
        """What is to be read of it, in words, and its file."""
        return "result", "result.json"

    def lines(self) -> list[str]:
        """For people: the rows of the first seed, and what all seeds have in common."""
        first = self.replicas[0]
        if not first.embeddings.size:
            return ["no layer is routed:", *blocks(first)[1:-1]]
        several = len(self.replicas) > 1
        head = f"which task uses which component{f', seed {first.seed}' if several else ''}:"
        return [head, *blocks(first), *self.summary()]

    def summary(self) -> list[str]:
        """How much is used, and which tasks use the same; of all seeds."""
        pairs = _pairs(self.replicas) if self.allocation == "learnt" else []
        return [_shares(self.replicas), *pairs]


def blocks(replica: RoutedReplica) -> list[str]:
    """A line a task: its rows as blocks, layer by layer, and how well it does."""
    width = max(len(text.printable(name)) for name in replica.tasks)
    head = "  ".join(
        f"layer {number}".ljust(len(row)) for number, row in enumerate(next(iter(replica.tasks.values())).rows)
    )
    widths = [max(len(row), 7) for row in next(iter(replica.tasks.values())).rows]
    found = [f"  {'':{width}}  {head}"]
    for name, task in replica.tasks.items():
        rows = "  ".join(drawn(row).ljust(size) for row, size in zip(task.rows, widths, strict=True))
        found.append(f"  {text.printable(name):{width}}  {rows}  {_how_well(task)}")
    return [*found, f"  {USED} used, {UNUSED} not used"]


def drawn(row: str) -> str:
    """A row of 0 and 1 as blocks."""
    return row.replace("1", USED).replace("0", UNUSED)


def _how_well(task: RoutedTask) -> str:
    if task.test is not None:
        found = f"test accuracy {task.test.value:.2%}"
    else:
        found = f"test error {task.test_loss:.4g}"
    return f"{found}, {task.params:,} parameters ({task.accounted_params:,.0f} accounted)"


def _shares(replicas: Sequence[RoutedReplica]) -> str:
    active = np.mean([replica.active_share for replica in replicas])
    expected = np.mean([replica.expected_share for replica in replicas])
    distinct = np.mean([replica.num_distinct for replica in replicas])
    mean = f", mean of {len(replicas)} seeds" if len(replicas) > 1 else ""
    return (
        f"{active:.1%} of all connections are used ({expected:.1%} expected); {len(replicas[0].tasks)} tasks have "
        f"{distinct:.3g} different rows{mean}"
    )


def _pairs(replicas: Sequence[RoutedReplica], most: int = 6) -> list[str]:
    """Which tasks use the same components; of several seeds how often."""
    names = list(replicas[0].tasks)
    found = []
    for one, other in itertools.combinations(names, 2):
        count = sum(replica.equal(one, other) for replica in replicas)
        if count and len(replicas) == 1:
            found.append(f"{text.printable(one)} and {text.printable(other)} use the same components")
        elif len(replicas) > 1:
            found.append(
                f"{text.printable(one)} and {text.printable(other)}: the same components in {count} of {len(replicas)}"
            )
    if not found:
        return ["no two tasks use the same components"]
    if len(found) > most:
        return []  # of many tasks the number of distinct rows says enough
    return found


ROUTING = kinds.named("routing")
