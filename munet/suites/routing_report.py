"""What is made of a suite's complete routed trainings: a page, its table, and the curves with their bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from munet.joint.beginning import Beginning
from munet.joint.records import Decision
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix.result import ROUTING, RoutingResult, blocks
from munet.store.folders import open_folder
from munet.suites import pictures, routing_rows
from munet.suites.paired import t_interval
from munet.suites.record import Record
from munet.suites.report import PAGE, TASKS_CSV
from munet.suites.routing_figures import figure
from munet.suites.suite import Suite
from munet.text import count, duration, markdown_table

_LEGEND = (
    "Test errors are mean squared ones. Means, intervals (Student's t) and standard deviations are over seeds, of "
    "each seed's mean over the tasks. Connections (of a task and a component) used: those that are at least as "
    "probable as not at the end; expected: the mean probability of all, as samples have them in training. Different "
    "rows: how many tasks differ in what they use."
)


@dataclass(frozen=True)
class Trained:
    """A complete training of a method.

    Attributes:
      title: of the method.
      curve: the figure that it is in; "": none.
      result: what came of it.
      beginning: what it began with.
      steps: rounds at which it was measured.
      losses: training losses, mean over the tasks and over the rounds since the measurement before.
      looks: at the probabilities of all connections, in the course of training; of all seeds.
    """

    title: str
    curve: str
    result: RoutingResult
    beginning: Beginning
    steps: Float[np.ndarray, " points"]
    losses: Float[np.ndarray, "seeds points"]
    looks: tuple[Decision, ...] = ()

    @property
    def final(self) -> Float[np.ndarray, " seeds"]:
        """Of each seed the mean over tasks: test accuracy in percent, or the mean squared error."""
        found = []
        for replica in self.result.replicas:
            tests = [task.test_loss if task.test is None else 100 * task.test.value for task in replica.tasks.values()]
            found.append(float(np.mean(tests)))  # type: ignore[arg-type]  # one of the two is there
        return np.array(found)

    @property
    def is_accuracy(self) -> bool:
        """Whether more is better."""
        return next(iter(self.result.replicas[0].tasks.values())).test is not None


class RoutingReport:
    """Writes what is complete into the suite's directory; a training is read once."""

    def __init__(
        self,
        workdir: str,
        suite: Suite,
        kept: Record,
        reference: str = "",  # noqa: ARG002  # there is none
        unlike: Mapping[str, str] = MappingProxyType({}),
    ):
        self._workdir, self._suite, self._kept = workdir, suite, kept
        self._unlike = unlike  # what is otherwise, by work directory
        self._read: dict[str, Trained] = {}  # by place, of complete trainings
        self._places: dict[str, str] = {}  # by method, of the training that counts

    def rows(self) -> dict[str, Trained]:
        """The complete trainings by method."""
        for method in self._kept.methods:
            for place in self._kept.side_by_side(self._workdir, method):
                if place not in self._read:
                    found = read(Workdir(place, ROUTING), self._kept.titles[method.name], method.curve)
                    if found is None:
                        continue
                    self._read[place] = found
                self._places[method.name] = place
                break
        names = [method.name for method in self._kept.methods if method.name in self._places]
        return {name: self._read[self._places[name]] for name in names}

    def write(self, with_figures: bool = False) -> None:
        """The page; pictures when they are asked for."""
        trained = self.rows()
        names = dict.fromkeys(one.curve for one in trained.values() if one.curve)
        curves = {name: [one for one in trained.values() if one.curve == name] for name in names}
        of_methods = [chart for name, one in trained.items() for chart in routing_rows.charts(name, one)]
        if with_figures:
            of_curves = [figure(_name(curve), curve, own) for curve, own in curves.items()]
            pictures.draw(self._workdir, [*of_curves, *of_methods])
        drawn = pictures.drawn(self._workdir)
        open_folder(self._workdir).replace(TASKS_CSV, routing_rows.csv(trained).encode())
        page = [f"# {self._kept.suite}", "", *self._notes(), "", *_table(trained), *(["", _LEGEND] if trained else [])]
        for curve in curves:
            if file := drawn.get(_name(curve)):
                page += ["", f"![{curve}: training loss over rounds, with 90 % bands]({file})"]
        page += _comparisons(trained, self._suite.compared_with)
        page += _separations(trained)
        for chart in of_methods:
            if file := drawn.get(chart.name):
                page += ["", f"![{chart.title}]({file})", "", f"*{chart.caption}*"]
        page += _rows_of_all(trained)
        open_folder(self._workdir).replace(PAGE, ("\n".join(page) + "\n").encode())

    def brief(self) -> list[str]:
        """For the terminal."""
        trained = self.rows()
        return [*_table(trained), *_comparisons(trained, self._suite.compared_with)] if trained else []

    def _notes(self) -> list[str]:
        notes = [f"{self._kept.made_by}, from complete trainings only."]
        trained = self.rows()
        if trained:
            layout = next(iter(trained.values())).beginning.layout
            seconds = duration(sum(one.result.seconds for one in trained.values()))
            lasts = dict.fromkeys(max(replica.seed for replica in one.result.replicas) for one in trained.values())
            seeds = " or ".join(f"0 to {last}" for last in sorted(lasts))
            notes.append(
                f"Trained in {seconds} on {count(int(str(layout.get('num_devices', 1))), 'device')} "
                f"({layout.get('device_kind', 'cpu')}), seeds {seeds} of a method side by side."
            )
        if missing := [method.name for method in self._kept.methods if method.name not in trained]:
            notes.append(f"Not complete: {', '.join(missing)}.")
        notes += [self._unlike[self._places[name]] + "." for name in trained if self._places[name] in self._unlike]
        return notes


def read(place: Workdir, title: str, curve: str) -> Trained | None:
    """A complete training; None while it is not.

    Args:
      place: its directory.
      title: of its method.
      curve: the figure that its losses are drawn in; "": none.
    """
    result, beginning = place.result(), place.beginning()
    if result is None or beginning is None:
        return None
    points, num = place.curve(), len(result.replicas)
    steps = np.array([point.step for point in points if point.replica == 0], float)
    losses = [[point.training_loss for point in points if point.replica == replica] for replica in range(num)]
    return Trained(title, curve, result, beginning, steps, np.array(losses), tuple(place.decisions()))


def _name(curve: str) -> str:
    return curve.lower().replace(" ", "_")


def _table(trained: dict[str, Trained]) -> list[str]:
    if not trained:
        return ["No training is complete."]
    what = "test accuracy %" if next(iter(trained.values())).is_accuracy else "test error"
    head = [
        "method", f"{what}, mean (90 % interval)", "deviation", "connections used", "expected", "different rows"
    ]  # fmt: skip
    body = []
    for one in trained.values():
        replicas, final = one.result.replicas, one.final
        active, expected, distinct = (
            float(np.mean(values))
            for values in (
                [replica.active_share for replica in replicas],
                [replica.expected_share for replica in replicas],
                [replica.num_distinct for replica in replicas],
            )
        )
        different = f"{distinct:.3g} of {len(replicas[0].tasks)}"
        body.append(
            [one.title, _with_interval(final), _deviation(final), f"{active:.1%}", f"{expected:.1%}", different]
        )
    return markdown_table(head, body).splitlines()


def _comparisons(trained: dict[str, Trained], against: str) -> list[str]:
    """Every method with the one that all are compared with, seed by seed; only inside of one figure."""
    if against not in trained:
        return []
    base, lines = trained[against], []
    for name, one in trained.items():
        if name == against or one.curve != base.curve or len(one.final) != len(base.final):
            continue
        if one.is_accuracy:
            lines.append(f"- {one.title} minus {base.title}: {_with_interval(one.final - base.final)} points")
        else:
            lines.append(f"- {one.title}'s error by {base.title}'s: {_with_interval(one.final / base.final)}")
    return ["", "Seed by seed (90 % intervals over seeds):", "", *lines] if lines else []


def _separations(trained: dict[str, Trained]) -> list[str]:
    """How well rows tell tasks of different data sets apart."""
    lines = []
    for one in trained.values():
        if found := routing_rows.separations(one):
            silhouette, rand = (np.array([getattr(value, name) for value in found]) for name in ("silhouette", "rand"))
            lines.append(
                f"- {one.title}: silhouette {_with_interval(silhouette)}, adjusted Rand index {_with_interval(rand)}"
            )
    head = "How well the cosines of rows tell tasks of different data sets apart:"
    return ["", head, "", *lines] if lines else []


def _rows_of_all(trained: dict[str, Trained]) -> list[str]:
    lines: list[str] = []
    for one in trained.values():
        if one.result.allocation != "learnt":
            continue
        first, (shares, *pairs) = one.result.replicas[0], one.result.summary()
        lines += ["", f"## Rows of {one.title}", "", "```", *blocks(first), "```", ""]
        lines.append(f"Above is seed {first.seed}. {shares[0].upper()}{shares[1:]}.")
        lines += ["", *(f"- {pair}" for pair in pairs)] if pairs else []
        lines += routing_rows.usage(one)
    return lines


def _with_interval(values: Float[np.ndarray, " seeds"]) -> str:
    if len(values) < 2:
        return f"{values.mean():.4g}"
    low, high = t_interval(values, 0.9)
    return f"{values.mean():.4g} ({low:.4g} to {high:.4g})"


def _deviation(values: Float[np.ndarray, " seeds"]) -> str:
    return f"{values.std(ddof=1):.2g}" if len(values) > 1 else "-"
