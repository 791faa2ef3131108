"""A run at a glance, for people: the table of its tasks and the lines that say what the table does not."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from rich.console import RenderableType
from rich.text import Text

from munet import intervals
from munet.config import Experiment
from munet.data import notation
from munet.quality import metric_words
from munet.report.columns import Column, FittedTable
from munet.report.unfinished import Unfinished, seconds_left, unfinished
from munet.system import view
from munet.system.joint_record import JointRecord
from munet.system.view import RunView
from munet.text import count, duration, percent_or_dash, with_interval
from munet.types import ModelId, Quality, TaskName

MOST_TASKS = 1000  # of which is listed who shares with whom and descends from whom: lists as long as there are tasks
MANY_TASKS = 30  # if there are more, totals come first, then the worst so many tasks
_MOST_ANCESTORS = 8  # in a row of the table
_MOST_SHARED = 6  # tasks in a row of the table
_LEAST_WANTED = "trainable"  # the column that is the first to go
_MOST_NAMES = 8  # of tasks without a model


def overview(system: RunView, wide: bool = False) -> Iterator[RenderableType]:
    """What `munet status` prints, part by part.

    Args:
      system: of any run.
      wide: every task, however many there are.
    """
    lines = [Text(line) for line in [*_score_in_words(system), *summary(system)]]
    if len(system.models) > MANY_TASKS:
        yield from lines
    if table := _table(system, wide):
        yield table
    if len(system.models) <= MANY_TASKS:
        yield from lines


def next_steps(workdir: str) -> str:
    """What can be done with a complete run: commands to copy, for its first task."""
    run = f"--workdir={shlex.quote(workdir)}"
    task = shlex.quote(f"--task={next(iter(view.open(workdir).models))}")
    commands = {
        f"munet report {run}": "all of it on one page, report.html",
        f"munet predict {run} {task} IMAGE_OR_FOLDER...": "the classes of images",
        f"munet extend {run} --to=NEW --config.tasks=...": "a further task, without training the others again",
    }
    widest = max(map(len, commands))
    lines = [f"    {command:{widest}}  # {meaning}" for command, meaning in commands.items()]
    return "\n".join(["What now? For instance:", *lines])


def _table(system: RunView, wide: bool) -> FittedTable | None:
    """The tasks, one a row; None where there is nothing to show yet."""
    tasks, title = list(system.models), f"System in {system.workdir}"
    if len(tasks) > MANY_TASKS:
        tasks, title = _worst_first(system), f"{title}: worst tasks first"
    hidden = 0 if wide else max(len(tasks) - MANY_TASKS, 0)
    tasks = tasks[: len(tasks) - hidden]
    columns = _columns(system, tasks)
    if not columns[0].cells:
        return None
    said = f"{count(hidden, 'task')} that {'does' if hidden == 1 else 'do'} no worse" if hidden else ""
    return FittedTable(title, columns, said, sections=[len(tasks) - 1])


def _worst_first(system: RunView) -> list[TaskName]:
    """The solved tasks by rising test quality."""
    tested = {task: model.test_quality or model.quality for task, model in system.models.items()}
    return sorted(tested, key=lambda task: quality.ratio if (quality := tested[task]) else 2)


def _columns(system: RunView, tasks: Sequence[TaskName]) -> list[Column]:
    """The columns of some tasks, then of the active one if it is unfinished; the last ones are the first to go."""
    found = [*rows(system, tasks), *_unfinished_rows(system)]
    names = headings(system)
    cells = list(zip(*found, strict=True)) or [()] * len(names)
    texts = (0, len(names) - 2, len(names) - 1)
    ranks = [0, 1, 0, *range(2, len(names) - 1)]
    ranks[names.index(_LEAST_WANTED)] = len(names)
    return [
        Column(name, column, rank, place in texts)
        for place, (name, column, rank) in enumerate(zip(names, cells, ranks, strict=True))
    ]


def headings(system: RunView) -> tuple[str, ...]:
    """Of the columns of `rows`."""
    # With balanced accuracy as quality, plain accuracy stands beside it.
    plain = ("validation", "test\n(95% interval)"), ()
    balanced = ("validation\nbalanced", "test balanced\n(95% interval)"), ("test accuracy\n(95% interval)",)
    first, second = plain if system.experiment.quality_metric == "accuracy" else balanced
    latency = ["ms an image"] if system.experiment.latency_factor < 1 else []
    prices = ("parameters", _LEAST_WANTED, "accounted", "MFLOPs", *latency)
    return ("task", *first, *second, "score", *prices, "shares with (components)", "model, from root")


def rows(system: RunView, tasks: Sequence[TaskName] | None = None) -> Iterator[tuple[str, ...]]:
    """The tasks solved so far, one a row.

    Args:
      system: of any run.
      tasks: only these; None: all, in the run's order.
    """
    is_balanced = system.experiment.quality_metric != "accuracy"
    has_latency = system.experiment.latency_factor < 1
    lists = len(system.models) <= MOST_TASKS
    labels = _labels(system)
    for task in system.models if tasks is None else tasks:
        model = system.model(task)
        shared = _shared(system.shared_with(task)) if lists else ""
        test = model.test_quality
        yield (
            labels[task],
            percent_or_dash(model.quality),
            with_interval(test.value, intervals.of_quality(test)) if test else "-",
            *([with_interval(test.accuracy, intervals.of_accuracy(test)) if test else "-"] if is_balanced else []),
            f"{system.score(task):.2%}",
            f"{system.params(task):,}",
            f"{system.trainable_params_of(task):,}",
            f"{system.accounted_params(task):,.0f}",
            f"{system.flops(task) / 1e6:,.2f}",
            *([f"{(model.latency or 0) * 1000:.3g}"] if has_latency else []),
            shared or "-" if lists else "(--json --task)",
            _lineage(system, model.id),
        )


def _unfinished_rows(system: RunView) -> Iterator[tuple[str, ...]]:
    """The active task's best so far, where it has no model yet."""
    open_task = unfinished(system)
    if open_task and open_task.best:
        best = [_labels(system)[open_task.task], percent_or_dash(open_task.best.quality), "unfinished"]
        yield (*best, *["-"] * (len(headings(system)) - len(best)))


def _labels(system: RunView) -> dict[TaskName, str]:
    return {info.name: notation.label(info.uri) for info in system.tasks}


def _shared(others: Mapping[TaskName, int]) -> str:
    """With which tasks components are shared, and how many; of many tasks the first ones."""
    shown = ", ".join(f"{other} ({count})" for other, count in islice(others.items(), _MOST_SHARED))
    return shown + (f" and {len(others) - _MOST_SHARED:,} more" if len(others) > _MOST_SHARED else "")


def _lineage(system: RunView, model: ModelId) -> str:
    """From the root to the model; of a long lineage the end."""
    ids = [ancestor.id for ancestor in islice(system.state.lineage(model), _MOST_ANCESTORS + 1)]
    shown = ["..." if len(ids) > _MOST_ANCESTORS else "root" if id == system.root.id else str(id) for id in ids[-1:]]
    return " > ".join([*shown, *map(str, reversed(ids[:-1]))])


def summary(system: RunView) -> list[str]:
    """What the table does not say, line by line."""
    experiment = system.experiment
    lines = [*_progress(system), *_means(system)]
    has_kind = experiment.baseline.kind and system.joint is None
    kind = f", baseline {experiment.baseline.kind}" if has_kind else ""
    lines.append(
        f"Root {experiment.variant} with {count(experiment.num_blocks, 'block')}, "
        f"scale factor {experiment.scale_factor:g}{_beyond_size(experiment)}, "
        f"seed {experiment.seed}{kind}."
    )
    return lines


def _progress(system: RunView) -> list[str]:
    """Where the run stands, the unfinished task, and those without a model."""
    if system.joint is not None:
        return [_joint_progress(system, system.joint), *_unsolved(system)]
    position = system.position
    progress = f"{system.run_state.generations} of {count(system.num_generations, 'generation')}"
    if system.is_complete:
        lines = [f"Complete: {progress}, {count(len(system.tasks), 'task')}."]
    else:
        left, names = seconds_left(system), [task.name for task in system.tasks]  # without those that are forgotten
        lines = [
            f"Not complete: {progress}; task iteration {position.task_iteration + 1}, "
            f"task {names.index(system.active_task or '') + 1} of {len(names)} ({system.active_task}) is active"
            f"{f'; about {duration(left)} of training left' if left is not None else ''}."
        ]
    open_task = unfinished(system)
    if open_task:
        lines.append(_describe(open_task))
    if system.forgotten:
        lines.append(f"Forgotten: {', '.join(system.forgotten)}.")
    return [*lines, *_unsolved(system)]


def _joint_progress(system: RunView, joint: JointRecord) -> str:
    tasks, replicas = count(len(system.tasks), "task"), f", replica 1 of {joint.replicas}" if joint.replicas > 1 else ""
    if system.is_complete:
        return f"Complete: {joint.title} of {tasks}, {count(joint.num_rounds, 'round')}{replicas}."
    of, left = f" of {joint.num_rounds:,}" if joint.num_rounds else "", seconds_left(system)
    return (
        f"Not complete: {joint.title} of {tasks}, measured last after {joint.rounds:,}{of} rounds"
        f"{f'; about {duration(left)} of training left' if left is not None else ''}."
    )


def _unsolved(system: RunView) -> list[str]:
    unsolved = [info.name for info in system.tasks if info.name not in system.models]
    if not unsolved:
        return []
    more = f" and {len(unsolved) - _MOST_NAMES:,} more" if len(unsolved) > _MOST_NAMES else ""
    return [f"Without a model yet: {', '.join(unsolved[:_MOST_NAMES])}{more}."]


def _describe(open_task: Unfinished) -> str:
    """`digits is unfinished: model 3 leads with 48.50% validation, after generation 1 of 4`, in a sentence."""
    if open_task.best is None:
        why = "no child gave a finite result so far" if open_task.generations else "its first generation is in training"
        return f"{open_task.task} is unfinished: {why}."
    return (
        f"{open_task.task} is unfinished: model {open_task.best.id} leads with "
        f"{percent_or_dash(open_task.best.quality)} validation, after generation {open_task.generations} "
        f"of {open_task.num_generations}."
    )


def _means(system: RunView) -> list[str]:
    """Means over the tasks with a model, and parameters; nothing before the first."""
    if not system.models:
        return []
    experiment, models = system.experiment, list(system.models.values())
    tests = [model.test_quality for model in models]
    validation, test = mean(model.quality for model in models), mean(tests)
    shown = [f"{validation:.2%} validation"] if validation is not None else []
    shown += [f"{with_interval(test, mean_interval(tests))} test"] if test is not None else []
    plain = mean_accuracy(tests)
    if plain is not None and experiment.quality_metric != "accuracy":
        shown.append(f"{with_interval(plain, _mean_accuracy_interval(tests))} test accuracy")
    return [
        f"Mean {metric_words(experiment.quality_metric)}: {', '.join(shown)}.",
        f"Parameters in use: {system.total_params:,}, {system.params_per_task:,.0f} a task; trainable, that is not the "
        f"root's: {system.trainable_params:,}.",
    ]


def _score_in_words(system: RunView) -> list[str]:
    """Why scores lie below the qualities that they are made of; nothing where they do not, or there are none yet."""
    experiment = system.experiment
    factors = {"size": experiment.scale_factor, "FLOPs": experiment.flops_factor, "latency": experiment.latency_factor}
    penalties = [name for name, factor in factors.items() if factor < 1]
    if not penalties or not system.models or system.joint is not None:
        return []
    shared = "; it rises when more tasks share its layers" if experiment.scale_factor < 1 else ""
    return [f"Score: validation quality, penalised for {', '.join(penalties)}; children are judged by it{shared}."]


def _beyond_size(experiment: Experiment) -> str:
    """The score's further factors, where they are on."""
    factors = {"FLOPs": experiment.flops_factor, "latency": experiment.latency_factor}
    return "".join(f", {name} factor {factor:g}" for name, factor in factors.items() if factor < 1)


def mean(qualities: Iterable[Quality | None]) -> float | None:
    """The mean of the values; None when there is none, or one is not measured yet."""
    return _mean_of(quality.value if quality else None for quality in qualities)


def mean_accuracy(qualities: Iterable[Quality | None]) -> float | None:
    """The same of plain accuracy."""
    return _mean_of(quality.accuracy if quality else None for quality in qualities)


def mean_interval(qualities: Sequence[Quality | None]) -> intervals.Interval | None:
    """The 95 % interval of `mean`."""
    known = [quality for quality in qualities if quality]
    if not known or len(known) < len(qualities):
        return None
    return intervals.of_mean([one.value for one in known], [intervals.of_quality(one) for one in known])


def _mean_accuracy_interval(qualities: Sequence[Quality | None]) -> intervals.Interval | None:
    return mean_interval([Quality(one.correct, one.counted) if one else None for one in qualities])


def _mean_of(numbers: Iterable[float | None]) -> float | None:
    values = list(numbers)
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None
