"""Runs that a suite's results count and that it does not run now, where their settings are no longer the suite's.

Whoever runs some methods alone (`--methods`) is not refused for what has changed in the others: their results stay, and
the page says that they are of other settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from munet import kinds
from munet.config.flags import Override
from munet.kinds import AnyConfig
from munet.suites import inputs, plan
from munet.suites.plan import Run
from munet.suites.record import KnownMethod, Record
from munet.suites.suite import Method, Suite


def found(
    suite: Suite, workdir: str, kept: Record, overrides: Sequence[Override], runs: Sequence[Run]
) -> dict[str, str]:
    """What is otherwise, in words, by the work directory of each run that is so.

    Args:
      suite: as it is now.
      workdir: the suite's directory.
      kept: what has run there.
      overrides: of the command line.
      runs: of now, which are refused where they differ.

    Raises:
      CorruptionError: a run that is there is damaged.
      WorkdirError: one is of another format version.
    """
    ours, known = {run.workdir for run in runs}, {method.name: method for method in kept.methods}
    texts = {}
    for method in suite.methods:
        config = plan.method_config(suite, method, overrides)
        for run in _counted(method, config, workdir, kept.repeats, known[method.name]):
            if run.workdir not in ours and (changed := inputs.settings_changed(run)):
                texts[run.workdir] = (
                    f"{method.title}: has runs of other settings than the suite has now ({'; '.join(changed)})"
                )
    return texts


def _counted(method: Method, config: AnyConfig, workdir: str, repeats: int, known: KnownMethod) -> Iterator[Run]:
    """Every run of a method that the results may count, as it would begin now."""
    kind = kinds.of(config)
    if kind.is_side_by_side:
        for count in range(1, repeats + 1):
            place = plan.seeds_folder(workdir, method.name, count)
            yield Run(method, 0, kind.with_seeds(config, 0, count), place, count)
        return
    for seed in range(0, repeats, known.together):
        place = plan.run_folder(workdir, method.name, seed, known.together)
        yield Run(method, seed, kind.with_seeds(config, seed, known.together), place, known.together)
