"""`munet compress`: the system of a complete run, smaller, in a work directory of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from munet.compression.compress import Compression, compress
from munet.data.open_settings import NO_ARRAYS, Arrays
from munet.data.tasks import Task
from munet.errors import UserError
from munet.store import new_workdir
from munet.system import view
from munet.system.data import open_again
from munet.system.view import RunView
from munet.training.measure.evaluation import Measurement, measure, measure_validation, phase_entry
from munet.training.program import jax_settings
from munet.training.work import TaskWork
from munet.types import (
    ComponentId,
    ComponentName,
    CompressedModel,
    CompressionEntry,
    ModelId,
    Quality,
    TaskName,
)
from munet.vit.init import FlatArrays

Say = Callable[[str], None]


@dataclass(frozen=True)
class Compressed:
    """A system before and after, and what was found for each task that was to be compressed."""

    before: RunView
    after: RunView
    compression: Compression


def compress_run(
    workdir: str,
    to: str,
    *,
    tolerance: float | None = None,
    tasks: Sequence[TaskName] = (),
    data_dir: str = "",
    arrays: Arrays = NO_ARRAYS,
    say: Say = lambda _: None,
) -> Compressed:
    """Compresses the retained models of a complete run.

    Args:
      workdir: of the run, which stays as it is.
      to: a new or empty directory.
      tolerance: points of validation quality that a task may lose; None: a standard error of it.
      tasks: those whose models are compressed; none: all.
      data_dir, arrays: as in `open_again`.
      say: told what takes time.

    Raises:
      UserError: the run, a task, its data or the directory cannot be used; nothing is written then.
    """
    new_workdir.check_places(workdir, to)
    if tolerance is not None and not 0 <= tolerance <= 100:
        raise UserError(f"--tolerance={tolerance:g}: expected points of validation quality in [0, 100], e.g. 0.5.")
    system = view.open(workdir)
    if system.joint is not None:
        raise UserError(
            f"{workdir} holds a joint training, which has no journal that could say what was compressed: "
            "`munet compress` takes complete runs of `munet evolve`."
        )
    if not system.is_complete:
        raise UserError(
            f"The run in {workdir} is not complete (the phase of {system.active_task} is open): "
            "`munet evolve` with the same options goes on with it; compress it then."
        )
    models = {task: system.model(task) for task in tasks or system.models}
    open_task = functools.cache(functools.partial(open_again, system, data_dir=data_dir, arrays=arrays))
    load = functools.lru_cache(maxsize=256)(system.store.components.load)

    def validate(task: TaskName, components: Mapping[ComponentName, FlatArrays]) -> Quality:
        return _validated(system, open_task(task), components).quality

    jax_settings.pin(say)
    say(f"Choosing ranks for {', '.join(models)} by validation ...")
    found = compress(system.state, models, load, validate, tolerance=tolerance)
    for task, ranks in found.ranks.items():
        say(f"  {task}: {_in_words(ranks)}")
    if not found.components:
        raise UserError(
            f"No layer of {', '.join(models)} can be stored in fewer parameters without losing more than "
            f"{'a standard error' if tolerance is None else f'{tolerance:g} points'} of validation quality: nothing "
            "was written. A larger --tolerance allows more."
        )
    entry = _entry(system, found, open_task, load, tolerance)
    published = {id: (found.published[id], found.arrays[id]) for id in found.published}
    kept = set(system.controller.tell(system.state, entry).components) - published.keys()
    new_workdir.write(system.store, to, kept, published, entry)
    return Compressed(system, view.open(to), found)


def _in_words(ranks: Mapping[ComponentName, int]) -> str:
    """How a model's layers are stored: `as the layers they were cloned from: embedding, cls; in rank 2: head`."""
    names: dict[int, list[ComponentName]] = {}
    for name, rank in ranks.items():
        names.setdefault(rank, []).append(name)
    how = {rank: f"in rank {rank}" if rank else "as the layers they were cloned from" for rank in sorted(names)}
    return "; ".join(f"{words}: {', '.join(names[rank])}" for rank, words in how.items())


def _validated(system: RunView, data: Task, components: Mapping[ComponentName, FlatArrays]) -> Measurement:
    task = data.info.name
    work = TaskWork.of(system.experiment, system.task(task))
    return measure_validation(work, data, components, system.model(task).hyperparameters)


def _entry(
    system: RunView,
    found: Compression,
    open_task: Callable[[TaskName], Task],
    load: Callable[[ComponentId], FlatArrays],
    tolerance: float | None,
) -> CompressionEntry:
    """The journal's entry; test images are looked at here, once, when all is decided."""
    models: list[CompressedModel] = []
    whole = found.whole(load)
    id: ModelId = system.state.next_model_id
    for task in sorted(found.components, key=lambda task: system.model(task).id):
        old, data, components = system.model(task), open_task(task), found.components[task]
        arrays = {name: whole(component) for name, component in components.items()}
        with data.testing():
            work = TaskWork.of(system.experiment, system.task(task))
            test = measure(work, arrays, old.hyperparameters, data.split("test"))
        validation = _validated(system, data, arrays)
        measured = phase_entry(system.position, task, id + len(models), test, validation)
        models.append(CompressedModel(old.id, components, validation.quality, found.before[task], measured))
    return CompressionEntry(system.position, tuple(models), found.published, tolerance)
