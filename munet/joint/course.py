"""The course of a training: the points of its curve and its decisions so far, and the files that they are in."""

from __future__ import annotations

from munet.joint.job import Job
from munet.joint.records import CurvePoint, Decision
from munet.joint.workdir import Workdir
from munet.report import curve
from munet.training.pace import Seldom

_WRITING_SHARE = 0.05  # of the time that writing the curve may take, which grows with every point


class Course:
    """What a training has measured and decided.

    Args:
      job: what is trained on what.
      place: where the files go.

    Attributes:
      points: of every replica, in the order in which they were measured.
      decisions: likewise.
    """

    def __init__(self, job: Job, place: Workdir):
        self._job, self._place = job, place
        self.points: list[CurvePoint] = []
        self.decisions: list[Decision] = []
        self._writes = Seldom(_WRITING_SHARE)

    @property
    def measured_at(self) -> int:
        """The step of the newest point; 0 if there is none."""
        return self.points[-1].step if self.points else 0

    def restore(self, step: int) -> None:
        """Reads what the files have up to a step, from which training goes on."""
        self.points = [point for point in self._place.curve() if point.step <= step]
        self.decisions = [decision for decision in self._place.decisions() if decision.round <= step]

    def write(self) -> None:
        """The curve, its picture and all decisions, each as a whole."""
        if self.points:
            shown = [point for point in self.points if point.replica == 0]
            picture = curve.to_svg(shown, self._job.length.total, self._job.words.picture)
            self._place.write_curve(self.points, picture)
        if self.decisions:
            self._place.write_decisions(self.decisions)

    def write_seldom(self) -> None:
        """As `write`, unless it was written not long ago."""
        self._writes(self.write)
