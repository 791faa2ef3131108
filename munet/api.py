"""What Python users call: `munet.evolve` and `munet.verify`.

They do what the commands of these names do, also for tasks from arrays. JAX is loaded when something is trained or
measured, not before. What they and `munet.open` give is in `system/system.py`.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from munet.call_arguments import Tasks, arrays_of, as_tasks, config_of, default_workdir
from munet.config import Config
from munet.errors import DiskFullError
from munet.progress.events import Note, RunEnded, RunFailed
from munet.progress.listeners import Listeners, listeners_for
from munet.report.verify.problems import VerifyReport
from munet.system.system import System, open

if TYPE_CHECKING:
    from ml_collections import ConfigDict


def evolve(
    tasks: Tasks,
    root: str | None = None,
    workdir: str | None = None,
    config: Config | ConfigDict | str | None = None,
    *,
    quiet: bool = False,
    settings: Mapping[str, Any] | None = None,
    **named_settings: Any,
) -> System:
    """Evolves a system for some tasks; the same call goes on with a run that was interrupted.

    Args:
      tasks: each a `munet.Task` or a URI such as `"builtin:digits"`.
      root: the pretrained root, as in `experiment.root`; None: the config's, which is `"demo"` in `base`.
      workdir: where the run is kept; None: `runs/NAMES-HASH` in the current directory, a place of its own for every
        choice of tasks, arrays and settings, so that a changed call starts another run.
      config: the settings to begin with: a `munet.config.Config`, a `ConfigDict` of `munet.config.default`, or
        `FILE[:VARIANT]` as on the command line; None: `base:paper`, the paper's phases, which
        `num_generations` and the like cut short. `"base"` and `"base:quick"` race on a budget of `images_per_task`.
      quiet: print nothing; the log in the work directory is written all the same.
      settings: fields by their full or short names, such as `{"search_space.image_size": (32,)}`.
      **named_settings: fields whose names are unambiguous, such as `num_generations=4`; `munet config` lists them.

    Returns:
      The system; `predict`, `models` and `graph()` are there at once. If `runtime.max_hours` have passed it is not
      complete (`is_complete`), and the same call goes on.

    Raises:
      UserError: tasks, settings, root or work directory cannot be used; nothing is written then.
      EvolutionError: every child of a phase diverged.
      KeyboardInterrupt: the user ended it; what was committed is kept, and the same call goes on.
    """
    given = as_tasks(tasks)
    chosen = config_of(
        given,
        root,
        config,
        {**(settings or {}), **named_settings},
        others=list(inspect.signature(evolve).parameters)[:-1],
    )
    place = workdir or default_workdir(chosen, given)
    from munet.run import runs

    with told(place, chosen.runtime.notify, quiet) as listeners:
        runs.evolve(chosen, place, listeners, arrays=arrays_of(given))
    return open(place)


@contextlib.contextmanager
def told(place: str, command: str, quiet: bool) -> Iterator[Listeners]:
    """Everything that a run tells goes to a display that suits notebooks, the log and the user's hook."""
    started = time.monotonic()
    with listeners_for(None if quiet else sys.stdout, command=command, children=False) as listeners:
        try:
            yield listeners
        except KeyboardInterrupt:
            listeners(Note(f"Interrupted. The same call goes on with the run in {place}."))
            listeners(RunEnded(is_complete=False, seconds=time.monotonic() - started))
            raise
        except Exception as error:
            with contextlib.suppress(DiskFullError):  # of the log
                listeners(RunFailed(f"{type(error).__name__}: {error}"))
            raise


def verify(workdir: str | System, tasks: Tasks = (), *, tests: bool = True, data_dir: str = "") -> VerifyReport:
    """Checks every stored file of a run and, with `tests`, that every test accuracy measured again is the recorded one.

    Args:
      workdir: of the run, or its system.
      tasks: its tasks from arrays; others are found by their URIs.
      tests: whether to measure again.
      data_dir: prepared TFDS data; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.

    Returns:
      What was found; `is_sound` if there is no problem, `print` shows all.

    Raises:
      WorkdirError: there is no run, or one of a newer format.
    """
    from munet.report.verify import verify as checks

    place = workdir.workdir if isinstance(workdir, System) else workdir
    arrays = arrays_of(as_tasks(tasks))
    return checks.verify(place, checks.remeasure(data_dir, arrays=arrays) if tests else None)
