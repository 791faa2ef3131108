"""What settings do not do beside each other: not wrong, so a run begins all the same, but rarely what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from munet.config import Config, Experiment
from munet.config.stages import Stage, StageKind
from munet.evolution import stages as phases
from munet.evolution.plan import PhaseSettings
from munet.evolution.search_space import DATA_SETTINGS, insertions, model_settings, values_of
from munet.run.setup import baselines
from munet.text import count

PAPER = Experiment()  # whose phases have no stages

_SIZES = ("num_generations", "children_per_generation", "cycles_per_child")  # of the paper's phases; stages have theirs
# Settings that only one kind of stage reads.
_READ_BY: Mapping[StageKind, tuple[str, ...]] = {
    "evolve": ("mutation_probability", "jump_probability", "parent_choice"),
    "explore": ("clone_probability", "insertion_probability"),
    "compress": ("compression_tolerance",),
}


def notes(config: Config) -> Iterator[str]:
    """Sentences for whoever starts the run, of it and of its baselines."""
    experiment = config.experiment
    if experiment.stages:
        yield from _sizes(config)
        yield from _unshared_budget(experiment)
    if not experiment.baseline.kind:
        yield from _unread(experiment)
        yield from _nothing_to_choose(experiment)
        yield from _nothing_to_vary(experiment)
        yield from _nothing_to_insert(experiment)
        yield from _free_size(experiment)
        yield from _unordered(experiment)
    for one in (config, *baselines(config)):
        yield from _more_than_evolution(one.experiment)


def new_notes(before: Experiment, config: Config) -> list[str]:
    """Those of `notes` that do not hold of earlier phases of the run, for whoever extends it.

    Args:
      before: the settings of the phases before.
      config: those of the further ones, and the baselines that are asked for now.
    """
    known = set(notes(Config(before)))
    return [text for text in notes(config) if text not in known]


def _changed(experiment: Experiment, names: tuple[str, ...]) -> list[str]:
    """Those of some settings that are not the paper's, with their values."""
    found = [(name, getattr(experiment, name)) for name in names]
    return [f"experiment.{name} = {value!r}" for name, value in found if value != getattr(PAPER, name)]


def _have(ignored: list[str]) -> str:
    return f"{' and '.join(ignored)} {'has' if len(ignored) == 1 else 'have'} no effect here"


def _sizes(config: Config) -> Iterator[str]:
    """Settings of the paper's phases beside stages, which take their place."""
    untuned = [one for one in (config, *baselines(config)) if one.experiment.baseline.kind]
    untuned = [one for one in untuned if not phases.is_tuned(one.experiment) and not one.experiment.baseline.replicas]
    names = tuple(name for name in _SIZES if name != "children_per_generation" or not untuned)  # else: so many replicas
    if ignored := _changed(config.experiment, names):
        yield f"{_have(ignored)}: experiment.stages say what a phase is (--config=base:paper has none)."


def _unshared_budget(experiment: Experiment) -> Iterator[str]:
    if experiment.images_per_task and phases.cycles_of_evolution(experiment) is not None:
        yield (
            f"experiment.images_per_task = {experiment.images_per_task:,} has no effect here but as the most that may "
            f"be taken: each of the stages {', '.join(experiment.stages)} names its cycles. One that names none, such "
            "as train:1, gets what the others leave."
        )


def _unread(experiment: Experiment) -> Iterator[str]:
    """Settings that none of the run's stages read."""
    kinds = {stage.kind for stage in phases.stages(experiment)}
    for kind, names in _READ_BY.items():
        if kind not in kinds and (ignored := _changed(experiment, names)):
            here = ", ".join(experiment.stages) or "the paper's generations"
            yield f"{_have(ignored)}: only {kind} stages read such settings, and a phase is {here}."


def _nothing_to_choose(experiment: Experiment) -> Iterator[str]:
    if experiment.seed_choice == "fit" and not experiment.max_seed_parents:
        yield (
            "experiment.seed_choice = 'fit' has no effect here: fit chooses among more models than max_seed_parents, "
            "which at 0 takes the newest, one a child of the phase. Give --config.max_seed_parents=2, say."
        )


def _nothing_to_vary(experiment: Experiment) -> Iterator[str]:
    """Explore stages whose children of one parent are all alike."""
    exploring = [stage for stage in phases.stages(experiment) if stage.kind == "explore" and stage.children > 1]
    chances = [experiment.clone_probability]
    if insertions(experiment):
        chances.append(experiment.insertion_probability)
    if not exploring or PhaseSettings(experiment).raced or any(0 < chance < 1 for chance in chances):
        return
    fixed = "has one value a setting" if experiment.auto_tune else "is not looked at (auto_tune = False)"
    what = "their batches or the first values of what is inserted"
    have = "has" if len(exploring) == 1 else "have"
    yield (
        f"{_listed(exploring)} {have} nothing to explore: experiment.search_space {fixed}, and clone_probability = "
        f"{experiment.clone_probability:g} clones the same layers in all. Children of one parent differ in "
        f"{what if chances[1:] == [1] else 'their batches'} alone. Give several values of a setting, or a "
        "clone_probability between 0 and 1, or fewer children and longer training (--config.stages=explore:1,train:1)."
    )


def _nothing_to_insert(experiment: Experiment) -> Iterator[str]:
    exploring = any(stage.kind == "explore" for stage in phases.stages(experiment))
    if exploring and experiment.insertion_probability and not insertions(experiment):
        yield (
            f"experiment.insertion_probability = {experiment.insertion_probability:g} has no effect here: there are no "
            f"insertions (insertions = {experiment.insertions!r}, insert_adapters = {experiment.insert_adapters})."
        )


def _free_size(experiment: Experiment) -> Iterator[str]:
    """How size is counted, where it costs nothing; a penalty that grows, where there is no time for it."""
    if experiment.scale_factor == 1:
        if ignored := _changed(experiment, ("size_penalty", "root_users")):
            yield f"{_have(ignored)}: at experiment.scale_factor = 1, size costs nothing."
    elif experiment.size_penalty == "growing" and sum(stage.trains for stage in phases.stages(experiment)) == 1:
        yield "experiment.size_penalty = 'growing' has no effect here: a phase has one stage that trains."


def _listed(exploring: list[Stage]) -> str:
    return ", ".join(map(str, exploring))


def _unordered(experiment: Experiment) -> Iterator[str]:
    """Lists of numbers in which a step along the list is no step up or down."""
    for name in (*model_settings(experiment), *DATA_SETTINGS) if experiment.auto_tune else ():
        values = list(values_of(experiment, name))
        numbers = sorted(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
        if len(numbers) == len(values) and values not in (numbers, numbers[::-1]):
            yield (
                f"experiment.search_space.{name} = {tuple(values)!r} is in no order, and a step up or down goes along "
                f"the list as it is written. Expected rising or falling values: {tuple(numbers)!r}."
            )


def _more_than_evolution(experiment: Experiment) -> Iterator[str]:
    """Baselines that cannot be as short as evolution is."""
    total, kind = phases.cycles_of_evolution(experiment), experiment.baseline.kind
    if kind and total is not None and (children := phases.stages(experiment)[0].children) > total:
        fewer = "a grid (learning_rates, augmentations)" if phases.is_tuned(experiment) else "baseline.replicas"
        yield (
            f"The baseline {kind} takes more images than evolution, {count(children, 'cycle')} a task instead of "
            f"{total}: each of its children trains for one at least. Give {fewer} of {total} or less."
        )
