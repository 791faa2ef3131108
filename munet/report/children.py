"""Every child that a run has trained, a row each, with any of its facts as columns; and how a column's values spread.

Rejected children and failed ones are there too. Everything is read from the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from munet.errors import UserError, nearest
from munet.evolution.search_space import default_hyperparameters
from munet.system.view import RunView
from munet.types import ChildEntry, GenerationEntry, ModelId, Mutation, PhaseEntry, TaskName
from munet.vit import architecture

Cell = str | int | float | bool | None
Row = dict[str, Cell]
DEFAULT = (
    "id",
    "task",
    "iteration",
    "generation",
    "parent",
    "kept",
    "validation",
    "score",
    "trained_params",
    "changes",
)
COLUMNS: Mapping[str, str] = {
    "id": "of the model that the child is, counting up over the run",
    "task": "that it was trained for",
    "iteration": "task iteration, from 1",
    "generation": "of its phase, from 1; a stage of a race is one",
    "parent": "id",
    "parent_task": "the parent's; empty for the root",
    "seed": "whether its parent was a seed parent, so that it trained its head alone",
    "kept": "whether it was better than its parent",
    "retained": "whether it is its task's model now",
    "reason": "of the verdict, in words",
    "cycles": "that it trained",
    "best_cycle": "whose version counts, from 1",
    "validation": "quality of that version, in [0, 1]",
    "test": "test quality, of models that were retained at a phase's end",
    "score": "Eq. 2, when it was judged",
    "parent_score": "the score to beat",
    "blocks": "transformer blocks",
    "params": "parameters on its path, shared or not",
    "trained_params": "parameters that it trained",
    "layers": "components on its path",
    "trained_layers": "components that it trained",
    "image_steps": "training images that it saw; forward passes for its head count a third",
    "seconds": "of training: its share of the wall time of those that trained with it",
    "changes": "mutations that fired, in words; of several clones only how many",
    "mutations": "all of them",
}
_IN_PERCENT = ("validation", "test", "score", "parent_score")
_MOST_CLONES = 2  # that are named
_MOST_BARS, _RANGES = 12, 10  # values of a column that have a bar each; of more numbers there are ranges


class Children:
    """The children of a run.

    Args:
      system: of an evolved run.

    Attributes:
      columns: all that there are, with what they mean: those above, then the hyper-parameters.

    Raises:
      UserError: it is a joint training, which has no children.
    """

    def __init__(self, system: RunView):
        if system.joint is not None:
            raise UserError(f"{system.workdir} holds a joint training: it has one model a task, and no children.")
        self._system = system
        settings = dict.fromkeys(default_hyperparameters(system.experiment), "hyper-parameter")
        self._num_classes = {task.name: task.num_classes for task in system.every_task}
        self.columns: dict[str, str] = {**COLUMNS, **settings}

    def check(self, names: Sequence[str]) -> None:
        """Refuses names of columns that there are not.

        Raises:
          UserError: which, and what was meant, perhaps.
        """
        if unknown := [name for name in names if name not in self.columns]:
            raise UserError(" ".join(f"there is no column {name!r}. {nearest(name, self.columns)}" for name in unknown))

    @cached_property
    def rows(self) -> list[Row]:
        """All children in the order of their ids, with all columns."""
        tasks: dict[ModelId, TaskName] = {}
        rows: dict[ModelId, Row] = {}
        for entry in self._system.store.journal.entries():
            if isinstance(entry, GenerationEntry):
                for child in entry.children:
                    tasks[child.plan.id] = entry.task
                    rows[child.plan.id] = self._row(entry, child, tasks)
            elif isinstance(entry, PhaseEntry) and entry.retained in rows:
                rows[entry.retained]["test"] = entry.test_quality.value
        return list(rows.values())

    def _row(self, entry: GenerationEntry, child: ChildEntry, tasks: Mapping[ModelId, TaskName]) -> Row:
        plan, verdict, qualities = child.plan, child.verdict, child.training.qualities
        sizes = self._sizes(child)
        trained = [part.name for part in plan.components if part.trainable]
        best = verdict.best_cycle
        retained = self._system.models.get(plan.task)
        return {
            "id": plan.id,
            "task": plan.task,
            "iteration": entry.position.task_iteration + 1,
            "generation": entry.position.generation + 1,
            "parent": plan.parent,
            "parent_task": tasks.get(plan.parent, ""),
            "seed": plan.is_seed,
            "kept": verdict.is_kept,
            "retained": retained is not None and retained.id == plan.id,
            "reason": verdict.reason,
            "cycles": len(qualities) if plan.trains else 0,
            "best_cycle": best + 1 if best is not None and plan.trains else None,
            "validation": None if best is None else qualities[best].value,
            "test": None,
            "score": verdict.score,
            "parent_score": verdict.parent_score,
            "blocks": sum(architecture.is_block(name) for name in sizes),
            "params": sum(sizes.values()),
            "trained_params": sum(sizes[name] for name in trained),
            "layers": len(sizes),
            "trained_layers": len(trained),
            "image_steps": child.cost.image_steps,
            "seconds": child.cost.seconds,
            "changes": _changes(plan.mutations),
            "mutations": "; ".join(mutation.describe() for mutation in plan.mutations),
            **plan.hyperparameters,
        }

    def _sizes(self, child: ChildEntry) -> dict[str, int]:
        """Parameters of each of a child's layers."""
        plan, system = child.plan, self._system
        variant = architecture.get_variant(system.experiment.variant)
        classes = self._num_classes[plan.task]
        return {
            part.name: sum(
                leaf.size
                for leaf in architecture.model_leaves(variant, part.name, plan.hyperparameters, classes).values()
            )
            for part in plan.components
        }


def _changes(mutations: Sequence[Mutation]) -> str:
    clones = [mutation.target for mutation in mutations if mutation.kind == "clone"]
    words = [mutation.describe() for mutation in mutations if mutation.kind != "clone"]
    if clones:
        words.append(f"clone {', '.join(clones) if len(clones) <= _MOST_CLONES else f'{len(clones)} layers'}")
    return "; ".join(words)


@dataclass(frozen=True)
class Bar:
    """Of a histogram: a value or a range of numbers, and how many children have it."""

    value: str
    children: int
    kept: int


def histogram(rows: Sequence[Row], column: str) -> list[Bar]:
    """How often each value of a column occurs; of many numbers, how many lie in each of ten equal ranges.

    Children without a value are counted last, as "-".
    """
    there = [row for row in rows if row[column] is not None]
    place, names = _places(column, [row[column] for row in there])
    every = Counter(place(row[column]) for row in there)
    kept = Counter(place(row[column]) for row in there if row["kept"])
    bars = [Bar(name, every[index], kept[index]) for index, name in enumerate(names)]
    if missing := [row for row in rows if row[column] is None]:
        bars.append(Bar("-", len(missing), sum(bool(row["kept"]) for row in missing)))
    return bars


def _places(column: str, values: Sequence[Cell]) -> tuple[Callable[[Cell], int], list[str]]:
    """Which bar a value belongs to, and what the bars are called."""
    counts = Counter(values)  # of texts the most frequent come first
    distinct = sorted(counts, key=lambda value: (-counts[value] * isinstance(value, str), _in_order(value)))
    numbers = [float(value) for value in distinct if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(distinct) or len(distinct) <= _MOST_BARS:
        index = {value: place for place, value in enumerate(distinct)}
        return index.__getitem__, [shown(column, value) for value in distinct]
    low, width = numbers[0], (numbers[-1] - numbers[0]) / _RANGES
    bounds = [low + place * width for place in range(_RANGES + 1)]
    words = [shown(column, bound) for bound in bounds]
    names = [f"{words[place]} to {words[place + 1]}" for place in range(_RANGES)]
    return lambda value: min(int((float(value or 0) - low) / width), _RANGES - 1), names


def _in_order(value: Cell) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return (not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value))


def shown(column: str, value: Cell) -> str:
    """A cell for people: qualities in percent, four digits of other fractions, "yes" and "no"."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2%}" if column in _IN_PERCENT else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value


def ordered(rows: Sequence[Row], column: str) -> list[Row]:
    """Rows by a column, rows without a value last; with a `-` before its name the largest first."""
    name, is_falling = column.removeprefix("-"), column.startswith("-")
    key: Callable[[Row], tuple[bool, float, str]] = lambda row: _in_order(row[name])  # noqa: E731
    there = sorted((row for row in rows if row[name] is not None), key=key, reverse=is_falling)
    return there + [row for row in rows if row[name] is None]
