"""What the runs of a suite need, looked at before any starts: data, roots, whether those there are still the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from munet.config import as_begun, differences, to_json, without_places
from munet.errors import CorruptionError, SuiteError, UserError, WorkdirError
from munet.store import Store
from munet.suites.plan import Run
from munet.types import StartEntry

if TYPE_CHECKING:
    from munet.data.tasks import Task
    from munet.run.start import RootComponents

    Inputs = tuple[list[Task], RootComponents | None, list[UserError]]


def check_inputs(runs: Sequence[Run]) -> None:
    """Opens every task and every root that runs need, and looks at runs that are there already.

    Raises:
      SuiteError: all problems in one message.
    """
    import jax

    jax.config.update("jax_platforms", "cpu")  # this process only looks; a GPU's memory is for the workers
    from munet.data.open_settings import host_memory, share_of
    from munet.run.setup import open_inputs

    found: dict[str, None] = {}
    opened: list[tuple[object, Inputs]] = []
    for run in runs:
        try:
            begun = _begun(run)
        except (CorruptionError, WorkdirError) as error:
            found[str(error)] = None
            continue
        key = _what_is_opened(run, begun)
        inputs = next((inputs for other, inputs in opened if other == key), None)
        if inputs is None:
            limit = share_of(host_memory(), run.config.runtime.resident_share)  # the workers' own may differ
            inputs = open_inputs(run.config, max_resident=limit)
            opened.append((key, inputs))
            found |= dict.fromkeys(map(str, inputs[2]))
        if begun is not None:
            found |= dict.fromkeys(_changes(run, begun, inputs))
    if found:
        raise SuiteError(list(found))


def _begun(run: Run) -> StartEntry | None:
    """What a run that is there already began with; None if there is none yet.

    Raises:
      CorruptionError: its journal is damaged.
      WorkdirError: it is of another format version.
    """
    from munet.system.view import read_start

    return read_start(Store.open(run.workdir)) if len(Store(run.workdir).journal) else None


def _what_is_opened(run: Run, begun: StartEntry | None) -> object:
    """What decides the tasks and the root of a run; the seed, of some splits, where they are to be compared."""
    experiment, runtime = run.config.experiment, run.config.runtime
    root = (experiment.root, experiment.variant, experiment.num_blocks, experiment.defaults)
    places = (runtime.data_dir, runtime.cache_dir, runtime.max_bad_images)
    seed = None if begun is None else experiment.seed
    return experiment.tasks, max(experiment.search_space.image_size), root, places, seed


def _changes(run: Run, begun: StartEntry, inputs: Inputs) -> list[str]:
    """What a run that is there already began with and is no longer so: settings, data, root."""
    from munet.run import start

    (experiment, _), (tasks, root, problems) = as_begun(run.config.experiment, begun.experiment), inputs
    if root is None or problems:
        changed = differences(without_places(begun.experiment), without_places(to_json(experiment)))
    else:
        wanted = start.start_entry(experiment, [task.info for task in tasks], root, {})
        changed = start.all_differences(begun, wanted)
    if not changed:
        return []
    return [
        f"{run.workdir} holds a run of {run.method.name!r} with other settings or data ({'; '.join(changed)}): give "
        "the method another name, or another --workdir."
    ]
