"""What the runs of a suite need, looked at before any starts: data, roots, and runs that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from munet import kinds
from munet.config import Experiment, as_begun, differences, to_json, without_places
from munet.errors import CorruptionError, SuiteError, UserError, WorkdirError
from munet.kinds import AnyConfig
from munet.store import Store
from munet.suites.plan import Run
from munet.types import StartEntry

if TYPE_CHECKING:
    from munet.data.tasks import Task
    from munet.joint.beginning import Beginning
    from munet.run.start import RootComponents

    Inputs = tuple[list[Task], RootComponents | None, list[UserError]]


def check_inputs(runs: Sequence[Run]) -> None:
    """Opens every task and every root that runs need, and looks at runs that are there already.

    Raises:
      SuiteError: all problems in one message.
    """
    import jax

    jax.config.update("jax_platforms", "cpu")  # this process only looks; a GPU's memory is for the workers

    found: dict[str, None] = {}
    opened: list[tuple[object, Inputs]] = []
    for run in runs:
        try:
            begun = _begun(run)
        except (CorruptionError, WorkdirError) as error:
            found[str(error)] = None
            continue
        key = _what_is_opened(run.config, begun)
        inputs = next((inputs for other, inputs in opened if other == key), None)
        if inputs is None:
            inputs = _opened(run.config)
            opened.append((key, inputs))
            found |= dict.fromkeys(map(str, inputs[2]))
        if begun is not None:
            found |= dict.fromkeys(_changes(run, begun, inputs))
    if found:
        raise SuiteError(list(found))


def _opened(config: AnyConfig) -> Inputs:
    """Tasks and root, and what is wrong with them."""
    from munet.data.open_settings import host_memory, share_of
    from munet.data.tasks import load_tasks
    from munet.joint.preparation import opening
    from munet.run.setup import open_inputs

    limit = share_of(host_memory(), getattr(config.runtime, "resident_share", 1.0))  # the workers' own may differ
    if (alike := kinds.of(config).alike) is not None:
        return open_inputs(alike(config), max_resident=limit)
    uris = config.experiment.tasks
    try:
        return load_tasks(uris, opening(config, limit)) if uris else [], None, []
    except UserError as error:
        return [], None, [error]


def _begun(run: Run) -> StartEntry | Beginning | None:
    """What a run that is there already began with; None if there is none yet.

    Raises:
      CorruptionError: its journal is damaged.
      WorkdirError: it is of another format version.
    """
    from munet.joint.workdir import Workdir
    from munet.system.start_entry import read_start

    kind = kinds.of(run.config)
    if kind.method is not None:
        return Workdir(run.workdir, kind).beginning()
    return read_start(Store.open(run.workdir)) if kind.is_begun(run.workdir) else None


def _what_is_opened(config: AnyConfig, begun: StartEntry | Beginning | None) -> object:
    """What decides the tasks and the root of a run; the seed, of some splits, where they are to be compared."""
    from munet.joint.preparation import opening

    if (alike := kinds.of(config).alike) is None:
        return config.experiment.tasks, opening(config)
    experiment, runtime = (run := alike(config)).experiment, run.runtime
    root = (experiment.root, experiment.variant, experiment.num_blocks, experiment.defaults)
    places = (runtime.data_dir, runtime.cache_dir, runtime.max_bad_images)
    seed = None if begun is None else experiment.seed
    return experiment.tasks, max(experiment.search_space.image_size), root, places, seed


def settings_changed(run: Run) -> list[str]:
    """Settings with which a run that is there already began and that are no longer so; none if there is none yet.

    Raises:
      CorruptionError: its journal is damaged.
      WorkdirError: it is of another format version.
    """
    unopened: Inputs = [], None, [UserError("not opened")]
    return [] if (begun := _begun(run)) is None else _changed(run, begun, unopened)


def _changes(run: Run, begun: StartEntry | Beginning, inputs: Inputs) -> list[str]:
    """What is to be said of a run that is there already and began with something else."""
    if not (changed := _changed(run, begun, inputs)):
        return []
    return [
        f"{run.workdir} holds a run of {run.method.name!r} with other settings or data ({'; '.join(changed)}): give "
        "the method another name, or another --workdir."
    ]


def _changed(run: Run, begun: StartEntry | Beginning, inputs: Inputs) -> list[str]:
    """What a run that is there already began with and is no longer so: settings, data, root."""
    from munet.joint.beginning import Beginning, beginning_differences, experiment_differences
    from munet.run import start

    tasks, root, problems = inputs
    kind, experiment = kinds.of(run.config), run.config.experiment
    if isinstance(experiment, Experiment):
        experiment, _ = as_begun(experiment, begun.experiment)
    if isinstance(begun, Beginning):
        if problems:
            return experiment_differences(begun.experiment, to_json(experiment), kind)
        infos = tuple(task.info for task in tasks) or begun.tasks  # tasks that are made come from nowhere
        checkpoint = begun.root if root is None else root.checkpoint
        now = replace(begun, experiment=to_json(experiment), tasks=infos, root=checkpoint)
        return beginning_differences(begun, now, kind)
    if not isinstance(experiment, Experiment):
        raise TypeError("a run of evolution with the settings of a joint training")
    if root is None or problems:
        return differences(without_places(begun.experiment), without_places(to_json(experiment)))
    wanted = start.start_entry(experiment, [task.info for task in tasks], root, {})
    return start.all_differences(begun, wanted)
