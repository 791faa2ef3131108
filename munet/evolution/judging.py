"""Scores: Eq. 2, quality with a penalty for size, and Eq. 3, where a shared parameter is divided among its users.

And what follows from them when a child is trained: its best cycle is retained, and it is kept iff it is better than its
parent (Algorithm 1, lines 36-50). Beyond the paper, FLOPs and latency may count too (`costs.py`).

Nothing here is stored: scores follow from quality and the sharing at hand, and change when other models change.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence

from munet.config import Experiment
from munet.config.evolve import VersionChoice
from munet.evolution import costs
from munet.evolution.stages import stages
from munet.evolution.state import EvolutionError, State
from munet.quality import least_compressed, standard_error
from munet.types import ChildPlan, ComponentId, CycleQualities, ModelRecord, Quality, TaskName, Verdict
from munet.vit import architecture


def root_params(experiment: Experiment) -> int:
    """#root-model-params of Eq. 2: the root's trunk with a 2-class head.

    Its position embedding is that of `experiment.normaliser_image_size`, or of the default image size.
    """
    image_size = experiment.normaliser_image_size or experiment.defaults.image_size
    return _root_params(experiment.variant, experiment.num_blocks, image_size)


@functools.cache  # asked for with every score
def _root_params(variant: str, num_blocks: int, image_size: int) -> int:
    return architecture.root_params(architecture.get_variant(variant), num_blocks=num_blocks, image_size=image_size)


def penalised(quality: Quality, accounted: float, experiment: Experiment, weight: float = 1.0) -> float:
    """Eq. 2: q * s^(accounted / root), of the exponent only `weight`."""
    return quality.value * math.pow(experiment.scale_factor, weight * accounted / root_params(experiment))


def penalty_weight(state: State, experiment: Experiment) -> float:
    """How much of the size penalty counts for the active task's models: where it grows, all in the last that trains."""
    last = sum(stage.trains for stage in stages(experiment)) - 1
    if experiment.size_penalty == "whole_phase" or last < 1:
        return 1.0
    return min(state.position.generation / last, 1.0)


def accounted_params(
    state: State, components: Iterable[ComponentId], task: TaskName, experiment: Experiment | None = None
) -> float:
    """Eq. 3: every parameter divided by 1 + the number of other tasks' retained models that use it.

    Args:
      state: the system at hand.
      components: of a model.
      task: that the model solves.
      experiment: for the score, where `root_users` says among how many tasks the root's layers are divided; None: those
        that use them.
    """
    # fsum is exact before its one rounding: models that share alike score alike, in whatever order they are summed.
    return math.fsum(_share(state, used, task, experiment) for id in components for used in state.with_base(id))


def accounted_params_of_child(state: State, child: ChildPlan, experiment: Experiment, num_classes: int) -> float:
    """Eq. 3 for a child that is not built yet: what it trains is its own, the rest is shared.

    A position embedding that it has resized and does not train is the root's as soon as there is one of that size.
    """
    variant = architecture.get_variant(experiment.variant)
    shares: list[float] = []
    for plan in child.components:
        if plan.action == "share" and plan.source is not None:
            shares += [_share(state, used, child.task, experiment) for used in state.with_base(plan.source)]
        else:
            leaves = architecture.model_leaves(variant, plan.name, child.hyperparameters, num_classes)
            is_root = plan.action == "resize" and not plan.trainable
            shares.append(sum(leaf.size for leaf in leaves.values()) / _least_users(experiment, is_root=is_root))
    return math.fsum(shares)


def _share(state: State, component: ComponentId, task: TaskName, experiment: Experiment | None) -> float:
    record, users = state.components[component], 1 + state.num_other_users(component, task)
    return record.num_params / max(users, _least_users(experiment, is_root=record.is_root))


def _least_users(experiment: Experiment | None, *, is_root: bool) -> int:
    """Among how many tasks a component counts as shared at least."""
    if experiment is None or experiment.root_users == "users" or not is_root:
        return 1
    return len(experiment.tasks)


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
    accounted = accounted_params(state, model.components.values(), model.task, experiment)
    weight = penalty_weight(state, experiment) if model.id in state.active else 1.0
    size_aware = penalised(model.quality, accounted, experiment, weight)
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
    accounted = accounted_params_of_child(state, child, experiment, num_classes)
    size_aware = penalised(quality, accounted, experiment, penalty_weight(state, experiment))
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


def best_cycle(training: CycleQualities, choice: VersionChoice = "highest") -> int | None:
    """The cycle whose version counts, among those before the child diverged; None if there is none.

    The first one with the highest quality, or the last one within a standard error of it. Whoever follows training and
    asks after every cycle whether it is the last one ends with the same: a later cycle only takes its place if it is
    within the error of the highest of all until then.
    """
    best: int | None = None
    for cycle, quality in enumerate(training.qualities[: training.diverged_at]):
        # As fractions: no rounding decides between two cycles.
        if best is None or quality.ratio > training.qualities[best].ratio:
            best = cycle
    if best is None or choice == "highest":
        return best
    least = training.qualities[best].value - standard_error(training.qualities[best])
    counted = enumerate(training.qualities[: training.diverged_at])
    return max(cycle for cycle, quality in counted if quality.value >= least)


def ranked(state: State, experiment: Experiment, models: Iterable[ModelRecord]) -> list[ModelRecord]:
    """Models of the active task by decreasing score; the first ones given first among equals.

    Where versions within one standard error of the best count as equal, these come first, the latest foremost.
    """
    scores = {model.id: score(state, model, experiment) for model in models}
    found = sorted(models, key=lambda model: -scores[model.id])
    if not found or experiment.version_choice == "highest":
        return found
    least = scores[found[0].id] - _error(scores[found[0].id], found[0].quality)
    return sorted(found, key=lambda model: (0, -model.id) if scores[model.id] >= least else (1, -scores[model.id]))


def promising(state: State, experiment: Experiment, ranked: Sequence[ModelRecord]) -> Sequence[ModelRecord]:
    """Ranked models in the order in which they are to be trained further.

    Short races prefer harmless settings. Where versions within one standard error count as equal, so do settings,
    and of those the larger learning rate comes first.
    """
    if experiment.version_choice == "highest" or not ranked:
        return ranked
    scores = {model.id: score(state, model, experiment) for model in ranked}
    best = max(ranked, key=lambda model: scores[model.id])
    least = scores[best.id] - _error(scores[best.id], best.quality)
    return sorted(
        ranked,
        key=lambda model: (
            (0, -float(model.hyperparameters["learning_rate"]), -model.id)
            if scores[model.id] >= least
            else (1, -scores[model.id], 0)
        ),
    )


def _error(score: float, quality: Quality | None) -> float:
    """The standard error of a score: its quality's, in the same proportion."""
    if quality is None or not quality.value:
        return 0.0
    return standard_error(quality) * score / quality.value


def judge_child(
    state: State,
    experiment: Experiment,
    child: ChildPlan,
    training: CycleQualities,
    num_classes: int,
    latency: float | None = None,
) -> Verdict:
    """Keeps a child iff its best cycle scores strictly higher than its parent, or its parent is of another task.

    Where versions within one standard error count as equal, a child is also kept if it is no further below its parent.

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
    cycle = best_cycle(training, experiment.version_choice)
    end = "" if training.diverged_at is None else f"; diverged in cycle {training.diverged_at + 1}"
    if cycle is None:
        return Verdict(False, "gave no finite result" + end, parent_score=to_beat)
    own = score_of_child(state, experiment, child, training.qualities[cycle], num_classes, latency)
    if counts_costs(experiment):  # the paper's own score goes without saying
        end = f" (penalised for {', '.join(costs.penalised_for(experiment))}){end}"
    is_equal = to_beat is not None and (
        experiment.version_choice == "latest_within_error" and own > to_beat - _error(own, training.qualities[cycle])
    )
    if to_beat is None:
        reason = f"{own:.4f}, and its parent was not trained on {child.task}"
    elif own > to_beat:
        reason = "{} > {} of its parent".format(*_distinct(own, to_beat))
    elif is_equal:
        reason = "later, and {} is within a standard error of its parent's {}".format(*_distinct(own, to_beat))
    else:
        reason = "never beat its parent's {1} (best {0})".format(*_distinct(own, to_beat))
    return Verdict(to_beat is None or own > to_beat or is_equal, reason + end, cycle, own, to_beat)


def judge_compressed(
    state: State, experiment: Experiment, child: ChildPlan, training: CycleQualities, num_classes: int
) -> Verdict:
    """Keeps a compressed model iff it loses no more validation quality than it may.

    Both are scored at the size of the uncompressed model: what it has shrunk to follows from its components.

    Args:
      state, experiment, child, num_classes: as for `judge_child`.
      training: the qualities of the uncompressed model and, where something was found, of the compressed one, both
        measured alone; none in a rehearsal.
    """
    latency = state.models[child.parent].latency
    scores = [
        score_of_child(state, experiment, child, quality, num_classes, latency) for quality in training.qualities[::-1]
    ]
    if len(scores) < 2:
        reason = "no layer can be stored in fewer parameters without losing more than it may"
        return Verdict(False, reason, 0, scores[0], scores[0]) if scores else Verdict(False, reason)
    before, after = training.qualities
    tolerance = experiment.compression_tolerance
    may_lose = "a standard error" if tolerance < 0 else f"{tolerance:g} points"
    is_kept = after.ratio >= least_compressed(before, None if tolerance < 0 else tolerance)
    reason = "{} in low rank, {} before, of which it may lose ".format(*_distinct(*scores)) + may_lose
    return Verdict(is_kept, reason, 1, *scores)


def _distinct(first: float, second: float) -> tuple[str, str]:
    """Both numbers with the fewest digits, at least 4, that tell them apart if they differ."""
    digits = next((n for n in range(4, 17) if f"{first:.{n}f}" != f"{second:.{n}f}"), 4)
    return f"{first:.{digits}f}", f"{second:.{digits}f}"
