"""Scores: Eq. 2, quality with a penalty for size, and Eq. 3, where a shared parameter is divided among its users.

And what follows from them when a child is trained: its best cycle is retained, and it is kept iff it is better than its
parent (Algorithm 1, lines 36-50). Beyond the paper, FLOPs and latency may count too (`costs.py`).

Nothing here is stored: scores follow from quality and the sharing at hand, and change when other models change.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

from munet.config import Experiment
from munet.evolution import costs
from munet.evolution.state import EvolutionError, State
from munet.types import ChildPlan, ComponentId, CycleQualities, ModelRecord, Quality, TaskName, Verdict
from munet.vit import architecture


def root_params(experiment: Experiment) -> int:
    """#root-model-params of Eq. 2: the root's trunk at the default image size with a 2-class head."""
    return _root_params(experiment.variant, experiment.num_blocks, experiment.defaults.image_size)


@functools.cache  # asked for with every score
def _root_params(variant: str, num_blocks: int, image_size: int) -> int:
    return architecture.root_params(architecture.get_variant(variant), num_blocks=num_blocks, image_size=image_size)


def penalised(quality: Quality, accounted: float, experiment: Experiment) -> float:
    """Eq. 2: q * s^(accounted / root)."""
    return quality.value * math.pow(experiment.scale_factor, accounted / root_params(experiment))


def accounted_params(state: State, components: Iterable[ComponentId], task: TaskName) -> float:
    """Eq. 3: every parameter divided by 1 + the number of other tasks' retained models that use it."""
    # fsum is exact before its one rounding: models that share alike score alike, in whatever order they are summed.
    return math.fsum(_share(state, used, task) for id in components for used in state.with_base(id))


def accounted_params_of_child(state: State, child: ChildPlan, experiment: Experiment, num_classes: int) -> float:
    """Eq. 3 for a child that is not built yet: what it trains is its own, the rest is shared."""
    variant = architecture.get_variant(experiment.variant)
    shares: list[float] = []
    for plan in child.components:
        if plan.action == "share" and plan.source is not None:
            shares += [_share(state, used, child.task) for used in state.with_base(plan.source)]
        else:
            leaves = architecture.model_leaves(variant, plan.name, child.hyperparameters, num_classes)
            shares.append(sum(leaf.size for leaf in leaves.values()))
    return math.fsum(shares)


def _share(state: State, component: ComponentId, task: TaskName) -> float:
    return state.components[component].num_params / (1 + state.num_other_users(component, task))


def counts_costs(experiment: Experiment) -> bool:
    """Whether the score counts more than size: the paper's own does not."""
    return experiment.flops_factor < 1 or experiment.latency_factor < 1


def score(state: State, model: ModelRecord, experiment: Experiment) -> float:
    """Eq. 2 of a trained model in the system at hand, with the penalties for FLOPs and latency where they count.

    Raises:
      EvolutionError: the model has no quality, as the root.
    """
    if model.task is None or model.quality is None:
        raise EvolutionError(f"Model {model.id} was never trained on a task and has no score.")
    size_aware = penalised(model.quality, accounted_params(state, model.components.values(), model.task), experiment)
    if not counts_costs(experiment):
        return size_aware
    return size_aware * costs.penalty(
        experiment,
        model.components,
        model.hyperparameters,
        num_classes(state, model),
        latency=model.latency,
        root_latency=state.root.latency,
    )


def score_of_child(
    state: State, experiment: Experiment, child: ChildPlan, quality: Quality, num_classes: int, latency: float | None
) -> float:
    """The same for a child that is not built yet.

    Raises:
      EvolutionError: latency counts, but there is none.
    """
    size_aware = penalised(quality, accounted_params_of_child(state, child, experiment, num_classes), experiment)
    if not counts_costs(experiment):
        return size_aware
    return size_aware * costs.penalty(
        experiment,
        [plan.name for plan in child.components],
        child.hyperparameters,
        num_classes,
        latency=latency,
        root_latency=state.root.latency,
    )


def num_classes(state: State, model: ModelRecord) -> int:
    """Outputs of a model's head."""
    return state.components[model.components[architecture.HEAD]].layer_leaves["bias"].size


def total_params(state: State) -> int:
    """Parameters of all retained models together, each counted once; the root's only where they are used."""
    return sum(state.components[id].num_params for id in state.num_users)


def params_per_task(state: State) -> float:
    """Unique parameters in use / tasks with a model: also the mean of their accounted parameters (Tables 1, 2)."""
    return total_params(state) / len(state.retained) if state.retained else 0.0


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
    if counts_costs(experiment):  # the paper's own score goes without saying
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
