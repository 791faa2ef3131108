"""Phases of several stages: who goes on, with which settings, for how long, and that the budget is kept exactly."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from munet.config import Baseline, Experiment, Fidelity
from munet.errors import UserError
from munet.evolution import schedule
from munet.evolution.children import continued_child, explored_child
from munet.evolution.controller import Controller
from munet.evolution.judging import best_cycle
from munet.evolution.stages import stages
from munet.evolution.state import EvolutionError
from munet.quality import standard_error
from munet.types import ChildPlan, CycleQualities, GenerationEntry, PhaseEntry, Quality
from tests.evolution.simulation import Simulation, make_experiment, make_tasks, simulate
from tests.evolution.world import World, draws, trained

TASKS = make_tasks(10, 37, 5)
RACE: dict[str, Any] = {
    "stages": ("race",), "images_per_task": 30_000, "num_task_iterations": 1, "batch_size": 64,
    "max_batches_per_cycle": 10, "max_seed_parents": 2,
}  # fmt: skip


def race(**changes: Any) -> Experiment:
    return make_experiment(TASKS, **{**RACE, **changes})


def generations(run: Simulation) -> list[GenerationEntry]:
    return [entry for entry in run.entries if isinstance(entry, GenerationEntry)]


def by_rate(child: ChildPlan, cycles: int) -> CycleQualities:
    """The larger the learning rate, the better, a little more with every cycle."""
    value = round(400 + 400 * float(child.hyperparameters["learning_rate"]))
    return CycleQualities(tuple(Quality(value + cycle, 1000) for cycle in range(cycles)))


def test_a_phase_explores_narrows_and_trains() -> None:
    run = simulate(race(), TASKS, by_rate)
    explored, narrowed, trained = generations(run)[:3]
    assert [len(entry.children) for entry in (explored, narrowed, trained)] == [8, 4, 1]
    assert all(child.plan.parent == 0 for child in explored.children)  # there is only the root yet
    assert all(part.trainable for child in explored.children for part in child.plan.components)  # cloned, each
    rates = {child.plan.id: child.plan.hyperparameters["learning_rate"] for child in explored.children}
    best = sorted(rates, key=lambda child: (-float(rates[child]), child))[:4]
    assert sorted(child.plan.parent for child in narrowed.children) == sorted(best)
    for child in (*narrowed.children, *trained.children):
        parent = next(
            one.plan for entry in (explored, narrowed) for one in entry.children if one.plan.id == child.plan.parent
        )
        assert child.plan.hyperparameters == parent.hyperparameters
        assert {part.name for part in child.plan.components if part.action == "clone"} >= {"encoderblock_0", "head"}
    assert trained.children[0].plan.hyperparameters["learning_rate"] == max(rates.values())
    ends = [entry for entry in run.entries if isinstance(entry, PhaseEntry)]
    assert [end.retained for end in ends] == [entry.children[0].plan.id for entry in generations(run)[2::3]]


def test_a_stage_without_parents_says_that_every_child_diverged() -> None:
    """Seed parents are used up, and nothing came of them."""

    def diverging(_: ChildPlan, cycles: int) -> CycleQualities:
        return CycleQualities((Quality(0, 100),) * cycles, diverged_at=0)

    for later in ("explore:2x1", "narrow:2x1", "train:1x1"):
        with pytest.raises(EvolutionError, match="Every child of task 'task0' diverged"):
            simulate(race(stages=("evolve:2x1", later)), TASKS, diverging)


def test_several_children_of_a_train_stage_are_of_the_best_model() -> None:
    explored, last = generations(simulate(race(stages=("explore:4", "train:2")), TASKS, by_rate))[:2]
    best = max(explored.children, key=lambda child: float(child.plan.hyperparameters["learning_rate"]))
    assert [child.plan.parent for child in last.children] == [best.plan.id] * 2
    assert len({child.plan.components for child in last.children}) == 1  # they differ in their batches


def test_settings_come_up_as_often_as_their_share_says() -> None:
    explored = generations(simulate(race(), TASKS, by_rate))[0]
    flips = Counter(child.plan.hyperparameters["flip"] for child in explored.children)
    assert flips == {True: 4, False: 4}
    momenta = Counter(child.plan.hyperparameters["momentum"] for child in explored.children)
    assert max(momenta.values()) <= 2  # of seven values, by eight strata


def test_later_races_draw_what_was_better_in_earlier_ones() -> None:
    tasks = make_tasks(*[10] * 8)
    run = simulate(replace(race(), tasks=tuple(task.uri for task in tasks)), tasks, by_rate)
    rates = [
        [float(child.plan.hyperparameters["learning_rate"]) for child in entry.children]
        for entry in generations(run)[::3]
    ]
    first, last = rates[0], [rate for few in rates[-3:] for rate in few]
    assert sum(rate >= 0.1 for rate in last) / len(last) > 2 * sum(rate >= 0.1 for rate in first) / len(first)
    assert min(last) < 0.02  # none is given up for good


@given(
    st.integers(20_000, 400_000),
    st.sampled_from(
        [("race",), ("explore:4", "train:1"), ("explore:8x1", "train:2"), ("evolve:3", "evolve:3x2", "train:1")]
    ),
    st.integers(1, 2),
)
def test_a_phase_spends_its_budget_but_for_less_than_a_cycle_a_child(
    images: int, names: tuple[str, ...], iterations: int
) -> None:
    experiment = race(stages=names, images_per_task=images, num_task_iterations=iterations)
    task = TASKS[0]
    spent = schedule.images_of_phase(experiment, task)
    budget = images // iterations
    last = stages(experiment)[-1].children * schedule.images_per_cycle(experiment, task)
    assert budget - last < spent <= budget


def test_what_is_not_spent_goes_to_later_stages() -> None:
    experiment = race()
    task = TASKS[0]
    one = schedule.images_per_cycle(experiment, task)
    planned = schedule.planned_cycles(experiment, task)
    spent = 8 * planned[0] * one + 4 * planned[1] * one
    assert schedule.cycles(experiment, task, 2, spent - 3 * one) == planned[2] + 3
    assert schedule.cycles(experiment, task, 2, spent + one // 2) in (planned[2], planned[2] - 1)


def test_a_budget_that_pays_no_cycle_for_every_child_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"images_per_task = 5,000 does not pay .* --config.images_per_task=8320 or more"
    ):
        schedule.check_budget(race(images_per_task=5000), TASKS[0])
    schedule.check_budget(race(images_per_task=8320), TASKS[0])


@pytest.mark.parametrize(("images", "batches"), [(3000, 3), (5000, 6), (832, 1)])
def test_cycles_as_short_as_the_refusal_says_are_paid_for(images: int, batches: int) -> None:
    """And one batch more is not."""
    with pytest.raises(UserError) as caught:
        schedule.check_budget(race(images_per_task=images), TASKS[0])
    assert f"(--config.max_batches_per_cycle={batches} --config.min_batches_per_cycle={batches})" in str(caught.value)
    shorter = {"images_per_task": images, "max_batches_per_cycle": batches, "min_batches_per_cycle": batches}
    schedule.check_budget(race(**shorter), TASKS[0])
    longer = {"max_batches_per_cycle": batches + 1, "min_batches_per_cycle": batches + 1}
    with pytest.raises(UserError):
        schedule.check_budget(race(images_per_task=images, **longer), TASKS[0])


@pytest.mark.parametrize(
    "stages", [("explore:1", "evolve:6", "narrow:4", "train:17"), ("explore:5", "train:6x2", "evolve:7", "narrow:15")]
)
def test_what_the_refusal_says_is_enough_where_later_stages_are_wide(stages: tuple[str, ...]) -> None:
    """A larger budget gives the first stages longer trainings too, so the missing images alone are not enough."""
    given = {"stages": stages, "images_per_task": 15_000}
    with pytest.raises(UserError) as caught:
        schedule.check_budget(race(**given), TASKS[0])
    found = re.search(r"images_per_task=(\d+) or more, .*batches_per_cycle=(\d+)\)", str(caught.value))
    assert found is not None
    schedule.check_budget(race(**given | {"images_per_task": int(found[1])}), TASKS[0])
    batches = dict.fromkeys(("max_batches_per_cycle", "min_batches_per_cycle"), int(found[2]))
    schedule.check_budget(race(**given | batches), TASKS[0])


def test_a_budget_below_a_batch_for_every_child_asks_for_fewer() -> None:
    with pytest.raises(UserError, match=r"fewer children or smaller batches \(--config.stages=explore:2,train:1"):
        schedule.check_budget(race(images_per_task=831), TASKS[0])


def test_the_fewer_children_that_are_asked_for_are_paid_for() -> None:
    with pytest.raises(UserError) as caught:
        schedule.check_budget(race(images_per_task=100), TASKS[0])
    named = dict(re.findall(r"--config\.(\w+)=([\w:,]*\w)", str(caught.value).partition(" or more, or ")[2]))
    numbers = {name: int(value) for name, value in named.items() if name != "stages"}
    schedule.check_budget(race(stages=tuple(named["stages"].split(",")), images_per_task=100, **numbers), TASKS[0])
    with pytest.raises(UserError, match=r"images_per_task=8320 or more\.$"):
        schedule.check_budget(race(images_per_task=47), TASKS[0])


def test_without_stages_a_phase_is_the_papers() -> None:
    assert list(map(str, stages(make_experiment(TASKS)))) == ["evolve:8x5"] * 8


@pytest.mark.parametrize("kind", ["tuned", "tuned_adapters", "tuned_lora", "tuned_multi_head"])
def test_a_tuned_baseline_tries_its_grid_with_the_images_of_evolution(kind: Any) -> None:
    experiment = race(baseline=Baseline(kind))
    (entry, *_) = generations(simulate(experiment, TASKS, by_rate))
    tried = [
        tuple(child.plan.hyperparameters[name] for name in ("learning_rate", "crop_area_min", "flip"))
        for child in entry.children
    ]
    assert tried == [(0.05, 0.5, False), (0.1, 0.5, False), (0.05, 1.0, False), (0.1, 1.0, False)]
    one = schedule.images_per_cycle(experiment, TASKS[0])
    cycles = {len(child.training.qualities) for child in entry.children}
    assert cycles == {30_000 // (4 * one)}
    plain = simulate(
        replace(experiment, baseline=Baseline(kind.removeprefix("tuned_").replace("tuned", "full"))), TASKS
    )
    trained = [
        {part.name for part in found.children[0].plan.components if part.trainable}
        for found in (entry, generations(plain)[0])
    ]
    assert trained[0] == trained[1]


@pytest.mark.parametrize("kind", ["full", "tuned"])
def test_a_baseline_has_the_images_of_evolution_where_every_stage_names_its_cycles(kind: Any) -> None:
    """And not the budget that is then left over."""
    evolved = race(stages=("explore:8x2", "train:1x10", "compress"), images_per_task=81_920, num_task_iterations=2)
    fixed = replace(evolved, baseline=Baseline(kind))
    spent, budget = (schedule.images_of_run(experiment, TASKS) for experiment in (fixed, evolved))
    assert budget == len(TASKS) * 2 * 26 * 640
    lost = schedule.most_children(fixed) * 640 * len(TASKS)
    assert budget - lost < spent <= budget
    schedule.check_budget(fixed, TASKS[0])


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=12))
def test_whoever_follows_training_ends_with_the_version_that_counts(cycles: list[tuple[int, bool]]) -> None:
    qualities = tuple(Quality(correct, 60) for correct, _ in cycles)
    kept = None
    for count in range(1, len(qualities) + 1):
        if best_cycle(CycleQualities(qualities[:count]), "latest_within_error") == count - 1:
            kept = count - 1
    assert kept == best_cycle(CycleQualities(qualities), "latest_within_error")


def test_of_versions_within_one_standard_error_the_latest_counts() -> None:
    qualities = [Quality(correct, 100) for correct in (50, 92, 90, 80)]
    assert standard_error(qualities[1]) == pytest.approx(0.0273, abs=1e-3)
    assert best_cycle(CycleQualities(tuple(qualities))) == 1
    assert best_cycle(CycleQualities(tuple(qualities)), "latest_within_error") == 2
    assert best_cycle(CycleQualities(tuple(qualities), diverged_at=2), "latest_within_error") == 1


def test_of_settings_within_one_standard_error_the_larger_rate_goes_on() -> None:
    def alike(child: ChildPlan, cycles: int) -> CycleQualities:
        return CycleQualities((Quality(500 - child.id, 1000),) * cycles)

    for choice, expected in (("latest_within_error", "the largest"), ("highest", "the first")):
        run = simulate(race(version_choice=choice), TASKS, alike)
        explored, narrowed = generations(run)[:2]
        rates = {child.plan.id: float(child.plan.hyperparameters["learning_rate"]) for child in explored.children}
        parents = [child.plan.parent for child in narrowed.children]
        if expected == "the first":
            assert parents == [1, 2, 3, 4]
        else:
            assert [rates[parent] for parent in parents] == sorted(rates.values(), reverse=True)[:4]


@pytest.mark.parametrize("fewer", [0, 1])
def test_where_a_budget_is_many_passes_crops_alone_are_raced(fewer: int) -> None:
    """All else is drawn as it is without."""
    space = replace(make_experiment(TASKS).search_space, crop_area_min=(0.3, 0.6, 1.0))
    images = 36 * TASKS[0].num_train
    run, plain = (
        simulate(race(images_per_task=images, crops_above_passes=above, search_space=space), TASKS, by_rate)
        for above in (36 - fewer, 0)
    )
    drawn, drawn_plain = (
        [dict(one.plan.hyperparameters) for one in generations(each)[0].children] for each in (run, plain)
    )
    assert {one["crop_area_min"] for one in drawn} == ({0.3, 0.6} if fewer else {0.3, 0.6, 1.0})
    for one in (*drawn, *drawn_plain):
        del one["crop_area_min"]
    assert drawn == drawn_plain


def test_where_there_are_no_crops_whole_images_are_drawn() -> None:
    space = replace(make_experiment(TASKS).search_space, crop_area_min=(1.0, 1.0))
    run = simulate(race(crops_above_passes=1, search_space=space), TASKS, by_rate)
    assert {one.plan.hyperparameters["crop_area_min"] for one in generations(run)[0].children} == {1.0}


def test_a_growing_penalty_is_none_at_first_and_whole_at_last() -> None:
    experiment = race(scale_factor=0.3, size_penalty="growing")
    run = simulate(experiment, TASKS, by_rate)
    controller = Controller(experiment, TASKS)
    for _state, entry in zip(run.states, run.entries[1:], strict=False):
        if not isinstance(entry, GenerationEntry):
            continue
        for child in entry.children:
            assert child.verdict.score is not None
            assert child.verdict.best_cycle is not None
            quality = child.training.qualities[child.verdict.best_cycle].value
            if entry.position.generation == 0:
                assert child.verdict.score == pytest.approx(quality)
            else:
                assert child.verdict.score < quality
    whole = replace(experiment, size_penalty="whole_phase")
    for task, model in run.final.retained.items():
        assert task
        record = run.final.models[model]
        assert controller.score(run.final, record) == Controller(whole, TASKS).score(run.final, record)


def test_the_root_can_count_as_shared_by_all_from_the_start() -> None:
    scores = []
    for users in ("users", "all_tasks"):
        experiment = race(scale_factor=0.3, clone_probability=0.0, root_users=users)
        scores.append(generations(simulate(experiment, TASKS, by_rate))[0].children[0].verdict.score)
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[1] > scores[0]


@pytest.mark.parametrize("users", ["users", "all_tasks"])
def test_a_child_scores_the_same_before_and_after_it_is_there(users: Any) -> None:
    """Those with a position embedding of a new size, too."""
    changes = {"scale_factor": 0.3, "root_users": users, "mutation_probability": 0.4, "num_generations": 4}
    run = simulate(make_experiment(TASKS, **changes), TASKS)
    resized = 0
    for entry, after in zip(run.entries, run.states, strict=True):
        for child in entry.children if isinstance(entry, GenerationEntry) else ():
            if child.verdict.is_kept:
                resized += any(part.action == "resize" and not part.trainable for part in child.plan.components)
                assert run.controller.score(after, after.models[child.plan.id]) == child.verdict.score
    assert resized


def test_an_explore_stage_trains_adapters_of_its_own_and_shares_the_rest() -> None:
    run = simulate(race(clone_probability=0.0, insertion_probability=1.0), TASKS, by_rate)
    first, later = generations(run)[0], generations(run)[3:]
    for child in first.children:  # of the root, which has none
        assert {part.name for part in child.plan.components if part.action == "init"} >= set(ADAPTERS)
    for entry in later:
        for child in entry.children:
            trained = {part.name for part in child.plan.components if part.trainable}
            assert trained == {*ADAPTERS, "head", "encoder_norm"}  # also where the parent had adapters
    assert "clone" in {part.action for entry in later for child in entry.children for part in child.plan.components}


@pytest.mark.parametrize("trainability", ["inherited", "frozen"])
def test_an_explore_stage_copies_what_its_parent_trains_where_that_is_inherited(trainability: Any) -> None:
    """In a later iteration, of the task's own best model; the stages after it go on training it in any case."""
    experiment = race(clone_probability=0.0, fidelity=Fidelity(trainability=trainability))
    world = World(experiment, TASKS)
    parent = world.add("task0", own=["encoderblock_1", "encoder_norm"], active=True)
    state, record = world.state(), world.models[parent]
    settings = {"learning_rate": 0.1}
    explored = explored_child(state, experiment, TASKS[0], 2, record, settings, draws("child"))
    own = {"encoderblock_1"} if trainability == "inherited" else set()
    assert trained(explored) == {"head", "encoder_norm"} | own
    narrowed = continued_child(state, experiment, TASKS[0], 2, record)
    assert trained(narrowed) == {"head", "encoder_norm", "encoderblock_1"}


def test_a_jump_goes_to_any_other_value() -> None:
    changes = {"mutation_probability": 1.0, "jump_probability": 1.0, "num_generations": 3}
    run = simulate(make_experiment(TASKS, **changes), TASKS)
    steps = [
        abs(VALUES.index(mutation.before) - VALUES.index(mutation.after))  # type: ignore[arg-type]
        for entry in generations(run)
        for child in entry.children
        for mutation in child.plan.mutations
        if mutation.target == "learning_rate" and mutation.kind == "hyperparameter"
    ]
    assert 0 not in steps
    assert max(steps) > 4


ADAPTERS = [f"residual_adapter_{index}" for index in range(3)]
VALUES = list(Experiment().search_space.learning_rate)
