"""What a report is made from: a run, its journal, and the systems that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import PurePosixPath

from munet.quality import metric_words
from munet.report.comparison import display_name
from munet.report.facts import lineages
from munet.report.facts.lineages import Families
from munet.system import view
from munet.system.baselines import baselines
from munet.system.view import RunView
from munet.types import JournalEntry


@dataclass(frozen=True)
class Source:
    """A run read at one moment.

    Attributes:
      system: the run.
      entries: its journal as far as the system was read; none of a joint training.
      others: systems to compare with, by the names to show: baselines, then what was asked for.
    """

    system: RunView
    entries: Sequence[JournalEntry]
    others: Mapping[str, RunView]

    @cached_property
    def families(self) -> Families:
        """Who descends from whom."""
        return lineages.families(self.entries)

    @property
    def metric(self) -> str:
        """What qualities are, in words."""
        return metric_words(self.system.experiment.quality_metric)

    @property
    def name(self) -> str:
        """What the run itself is called among the others."""
        joint = self.system.joint
        return joint.title if joint is not None else display_name(self.system.experiment.baseline.kind)

    @property
    def systems(self) -> dict[str, RunView]:
        """All systems, the run itself last of its own, before those that were asked for."""
        return {**self.others, self.name: self.system}


def read(workdir: str, compare: Sequence[str] = ()) -> Source:
    """Reads a run, its baselines and other runs.

    Args:
      workdir: of the run, finished or not.
      compare: work directories of other systems.

    Raises:
      UserError: one of them holds no run.
      CorruptionError: a journal is damaged.
    """
    system = view.open(workdir)
    length = 0 if system.joint is not None else system.run_state.length
    entries = tuple(islice(system.store.journal.entries(), length)) if length else ()
    others = {} if system.joint is not None else _baselines(workdir)
    taken = {*others, Source(system, (), {}).name}
    for place in compare:
        name = PurePosixPath(place.rstrip("/")).name or place
        name = name if name not in taken else place
        taken.add(name)
        others[name] = view.open(place)
    return Source(system, entries, others)


def _baselines(workdir: str) -> dict[str, RunView]:
    """The baselines that have at least one model."""
    found = {}
    for kind, place in baselines(workdir).items():
        if (system := view.open(place)).models:
            found[display_name(kind)] = system
    return found
