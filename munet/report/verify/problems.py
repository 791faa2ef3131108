"""What `munet verify` says: the problems that it found, notes, and how much was checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from munet.errors import Problem, UserError
from munet.text import count

RESTORE = "Restore it from a copy of the work directory, or start again in a new one."


@dataclass
class VerifyReport:
    """All problems, and how much was checked."""

    workdir: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    num_entries: int = 0
    num_components: int = 0
    num_models: int = 0
    num_tested: int = 0
    num_snapshots: int = 0
    num_saves: int = 0
    total_params: int = 0
    baselines: dict[str, VerifyReport] = field(default_factory=dict)  # by kind; what is theirs stays theirs

    @property
    def num_problems(self) -> int:
        """Problems of the run and of its baselines."""
        return len(self.problems) + sum(report.num_problems for report in self.baselines.values())

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and all(report.is_sound for report in self.baselines.values())

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def add(self, place: str, text: str, advice: str = RESTORE) -> None:
        """Reports a problem, once."""
        problem = Problem(place, text, advice)
        if problem not in self.problems:
            self.problems.append(problem)

    def add_error(self, place: str, error: UserError) -> None:
        """Reports what reading the place met, with the error's own advice where it brings one."""
        self.add(place, error.text, error.advice or RESTORE)

    def lines(self) -> Iterator[str]:
        """The report for people: of the baselines first; the last line is the result."""
        for report in self.baselines.values():
            yield from report.lines()
        for number, problem in enumerate(self.problems, start=1):
            yield f"{number}. {problem.place}"
            yield f"   {problem.text}"
            if number == len(self.problems) or problem.advice != self.problems[number].advice:
                yield f"   {problem.advice}"  # once, of several in a row
        yield from self.notes
        checked = (
            f"{count(self.num_entries, 'journal entry', 'journal entries')}, "
            f"{count(self.num_components, 'component')}, {count(self.num_models, 'model')} "
            f"({self.total_params:,} parameters in use)"
        )
        if self.num_tested:
            checked += f", {count(self.num_tested, 'test accuracy', 'test accuracies')} measured again"
        if self.num_snapshots:
            checked += f", {count(self.num_snapshots, 'snapshot')}"
        if self.num_saves:
            checked += f", {count(self.num_saves, 'save')} of what is in training"
        if not self.is_sound:
            where = f"{self.workdir}{' and its baselines' if self.baselines else ''}"
            yield f"{count(self.num_problems, 'problem')} in {where}; checked: {checked}."
        else:
            yield f"{self.workdir} is sound: {checked}."
