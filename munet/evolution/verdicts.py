"""Best-of-cycles retention and early pruning: is a trained child better than its parent? (Algorithm 1, lines 36-50)."""

from __future__ import annotations

from munet.config import Experiment
from munet.evolution import costs
from munet.evolution.judging import score, score_of_child
from munet.evolution.state import State
from munet.types import ChildPlan, CycleQualities, Verdict


def best_cycle(training: CycleQualities) -> int | None:
    """The first cycle with the highest quality among those before the child diverged; None if there is none."""
    best: int | None = None
    for cycle, quality in enumerate(training.qualities[: training.diverged_at]):
        # As fractions: no rounding decides between two cycles.
        if best is None or quality.ratio > training.qualities[best].ratio:
            best = cycle
    return best


def judge_child(
    state: State,
    experiment: Experiment,
    child: ChildPlan,
    training: CycleQualities,
    num_classes: int,
    latency: float | None = None,
) -> Verdict:
    """Keeps a child iff its best cycle scores strictly higher than its parent, or its parent is of another task.

    Args:
      state: the state that the child was planned in.
      experiment: the configuration.
      child: the child.
      training: what training it gave.
      num_classes: of its task.
      latency: seconds an image, where the score counts it.
    """
    parent = state.models[child.parent]
    to_beat = score(state, parent, experiment) if parent.task == child.task else None
    cycle = best_cycle(training)
    end = "" if training.diverged_at is None else f"; diverged in cycle {training.diverged_at + 1}"
    if cycle is None:
        return Verdict(False, "gave no finite result" + end, parent_score=to_beat)
    own = score_of_child(state, experiment, child, training.qualities[cycle], num_classes, latency)
    if experiment.flops_factor < 1 or experiment.latency_factor < 1:  # the paper's own score goes without saying
        end = f" (penalised for {', '.join(costs.penalised_for(experiment))}){end}"
    if to_beat is None:
        reason = f"{own:.4f}, and its parent was not trained on {child.task}"
    elif own > to_beat:
        reason = "{} > {} of its parent".format(*_distinct(own, to_beat))
    else:
        reason = "never beat its parent's {1} (best {0})".format(*_distinct(own, to_beat))
    return Verdict(to_beat is None or own > to_beat, reason + end, cycle, own, to_beat)


def _distinct(first: float, second: float) -> tuple[str, str]:
    """Both numbers with the fewest digits, at least 4, that tell them apart if they differ."""
    digits = next((n for n in range(4, 17) if f"{first:.{n}f}" != f"{second:.{n}f}"), 4)
    return f"{first:.{digits}f}", f"{second:.{digits}f}"
