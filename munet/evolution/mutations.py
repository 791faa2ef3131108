"""The mutations of a child; each possible action fires independently with probability mu (Algorithm 1, lines 26-33).

To add a mutation: draw it here, record it as a `Mutation`, and apply it in `children.py`. The order matters in one
place only: insertions are drawn for the blocks that the number-of-blocks mutation leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from munet.config import Experiment
from munet.evolution.search_space import insertions, other, step, values_of
from munet.rng import Draws
from munet.types import ComponentName, ComponentPlan, Hyperparameters, HyperparameterValue, Mutation
from munet.vit.architecture import NORM, adapter_name, is_inserted, lora_name


def mutate_num_blocks(experiment: Experiment, num_blocks: int, draws: Draws) -> tuple[int, list[Mutation]]:
    """One block more or less, or none; more only up to the root's number and where growth is allowed."""
    name = "num_blocks"
    if not draws.fires(name, name, experiment.mutation_probability):
        return num_blocks, []
    fidelity = experiment.fidelity
    only_removes = not fidelity.allow_block_growth and fidelity.block_removal == "mu"
    after = num_blocks + (1 if not only_removes and draws.goes_up(name, name) else -1)
    highest = experiment.num_blocks if fidelity.allow_block_growth else num_blocks
    after = min(max(after, 1), highest)
    return after, [Mutation("num_blocks", name, num_blocks, after, effective=after != num_blocks)]


def mutate_settings(
    experiment: Experiment, settings: Hyperparameters, names: Sequence[str], draws: Draws
) -> tuple[dict[str, HyperparameterValue], list[Mutation]]:
    """Moves each of the settings called `names` one step along its list, or not; nothing without auto-tuning.

    With `jump_probability` a move goes to any other value instead.

    A list of a single value fixes its setting: there is no action that could fire.
    """
    mutated = dict(settings)
    mutations: list[Mutation] = []
    for name in names if experiment.auto_tune else ():
        values = values_of(experiment, name)
        if len(values) < 2 or not draws.fires("hyperparameter", name, experiment.mutation_probability):
            continue
        before = settings[name]
        jump = experiment.jump_probability  # drawn only where it can happen: other runs' draws are as they ever were
        if jump and draws.uniform("jump", name) < jump:
            after = other(values, before, draws.uniform("jump to", name))
        else:
            after = step(values, before, up=draws.goes_up("hyperparameter", name))
        mutated[name] = after
        mutations.append(Mutation("hyperparameter", name, before, after, effective=after != before))
    return mutated, mutations


_NAMES: dict[str, Callable[[int], ComponentName]] = {"adapter": adapter_name, "lora": lora_name}


def insertable(experiment: Experiment, kind: str, num_blocks: int, present: Collection[int]) -> list[int]:
    """Blocks at which a component of a kind (`adapter`, `lora`) may be inserted; at most one each."""
    if kind not in insertions(experiment):
        return []
    first = 1 if kind == "adapter" and not experiment.fidelity.adapter_before_first_block else 0
    return [index for index in range(first, num_blocks) if index not in present]


def insert(
    experiment: Experiment, probability: float, kind: str, num_blocks: int, present: Collection[int], draws: Draws
) -> tuple[frozenset[int], list[Mutation]]:
    """Draws an insertion for every block without one; returns all blocks of the child that have one.

    Args:
      experiment: the configuration.
      probability: of each insertion.
      kind: `adapter` or `lora`.
      num_blocks: of the child.
      present: blocks that have one already.
      draws: those of the child.
    """
    inserted = [
        index
        for index in insertable(experiment, kind, num_blocks, present)
        if draws.fires("insert", _NAMES[kind](index), probability)
    ]
    return frozenset({*present, *inserted}), [Mutation("insert", _NAMES[kind](index)) for index in inserted]


def is_cloneable(plan: ComponentPlan) -> bool:
    """Whether a clone mutation of the layer can fire: it is frozen so far."""
    return not plan.trainable


def clone(plan: ComponentPlan) -> ComponentPlan:
    """The plan with its clone mutation fired. A resized position embedding is trained as it is resized."""
    return replace(plan, action="resize" if plan.action == "resize" else "clone", trainable=True)


def clone_by_rule(
    plans: Iterable[ComponentPlan], names: Collection[ComponentName]
) -> tuple[list[ComponentPlan], list[Mutation]]:
    """Clones the frozen ones among the layers called `names` without a draw."""
    result: list[ComponentPlan] = []
    mutations: list[Mutation] = []
    for plan in plans:
        if plan.name in names and is_cloneable(plan):
            mutations.append(Mutation("clone", plan.name, forced=True))
            result.append(clone(plan))
        else:
            result.append(plan)
    return result, mutations


def clone_by_chance(
    probability: float, plans: Iterable[ComponentPlan], draws: Draws, *, of_insertions: float | None = None
) -> tuple[list[ComponentPlan], list[Mutation]]:
    """Draws a clone mutation for every layer that is still frozen.

    Args:
      probability: of each clone.
      plans: the child's path.
      draws: those of the child.
      of_insertions: the probability for adapters and low-rank updates, where it is another.
    """
    result: list[ComponentPlan] = []
    mutations: list[Mutation] = []
    for plan in plans:
        own = probability if of_insertions is None or not is_inserted(plan.name) else of_insertions
        if is_cloneable(plan) and draws.fires("clone", plan.name, own):
            mutations.append(Mutation("clone", plan.name))
            result.append(clone(plan))
        else:
            result.append(plan)
    return result, mutations


def forced_clones(experiment: Experiment, *, is_seed: bool) -> tuple[ComponentName, ...]:
    """Layers that a child clones by rule: the encoder norm counts as part of the head, as in the published code."""
    fidelity = experiment.fidelity
    is_forced = fidelity.seed_trains_norm if is_seed else fidelity.encoder_norm == "forced"
    return (NORM,) if is_forced else ()
