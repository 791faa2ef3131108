"""Whole simulated runs: 8 tasks, 2 iterations, qualities from a hash; what must hold after every journal entry."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from munet.config import Fidelity
from munet.evolution import judging, lookup
from munet.evolution.controller import Controller, replay
from munet.evolution.state import State
from munet.store import codec
from munet.system import state_file
from munet.types import GenerationEntry, ModelRecord, PhaseEntry, Position, SeedsEntry, StartEntry
from munet.vit.architecture import HEAD, NORM, is_inserted, path_names
from tests.evolution.simulation import Simulation, make_experiment, make_tasks, next_entry, simulate
from tests.evolution.world import World

TASKS = make_tasks(10, 37, 10, 10, 163, 10, 10, 10)
CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "penalty": {"scale_factor": 0.3, "mutation_probability": 0.3},
    "paper": {
        "fidelity": Fidelity(
            trainability="frozen", encoder_norm="chance", seed_order="random", offspring_count="per_activation",
            data_settings="child", allow_block_growth=False, adapter_before_first_block=False,
        ),
        "mutation_probability": 0.3,
    },
    "lora": {"insertions": ("adapter", "lora"), "mutation_probability": 0.3, "scale_factor": 0.5},
    "demo": {"max_seed_parents": 1, "children_per_generation": 4, "num_generations": 2, "auto_tune": False},
    "fit": {"max_seed_parents": 3, "children_per_generation": 4, "num_generations": 2, "seed_choice": "fit"},
}  # fmt: skip


@cache
def run(name: str) -> Simulation:
    settings = {"num_generations": 4, **CONFIGS[name]}
    return simulate(make_experiment(TASKS, **settings), TASKS)


@pytest.fixture(params=list(CONFIGS))
def simulation(request: pytest.FixtureRequest) -> Simulation:
    return run(request.param)


def generations(simulation: Simulation) -> list[tuple[State, GenerationEntry, State]]:
    steps = zip(simulation.states, simulation.entries[1:], simulation.states[1:], strict=False)
    return [(before, entry, after) for before, entry, after in steps if isinstance(entry, GenerationEntry)]


def assert_indices_are_those_made_from_scratch(state: State) -> None:
    fresh = State.of(
        position=state.position,
        models=dict(state.models),
        components=dict(state.components),
        retained=dict(state.retained),
        active=state.active,
        seeds=state.seeds,
        next_model_id=state.next_model_id,
        phase_images=state.phase_images,
        evidence=state.evidence,
        plan=state.plan,
    )
    assert state == fresh
    for model in state.models.values():
        for name, id in model.components.items():
            key = (name, state.components[id].num_params)
            walked = [ancestor.id for ancestor in state.lineage(model.id) if key in key_set(state, ancestor)]
            for ancestry in (state.ancestry, fresh.ancestry):
                assert [found for found in ancestry.having(model.id, key) if found in state.models] == walked


def key_set(state: State, model: ModelRecord) -> set[tuple[str, int]]:
    return {(name, state.components[id].num_params) for name, id in model.components.items()}


def test_states_are_consistent(simulation: Simulation) -> None:
    for state in simulation.states:
        retained = [state.models[id] for id in state.retained.values()]
        assert {task: state.models[id].task for task, id in state.retained.items()} == {t: t for t in state.retained}
        assert state.num_users == Counter(id for model in retained for id in model.components.values())
        assert_indices_are_those_made_from_scratch(state)
        assert {id for model in state.models.values() for id in model.components.values()} == set(state.components)
        assert set(state.models) == {0, *state.retained.values(), *state.active}
        assert set(state.seeds) <= set(state.models) - set(state.active)
        assert list(state.active) == sorted(state.active)
        for model in state.models.values():
            assert (model.parent is None) == (model.id == 0)
            assert [ancestor.id for ancestor in state.lineage(model.id)][-1] == 0
            if model.id:
                expected = path_names(
                    lookup.num_blocks(model), lookup.adapter_indices(model), lookup.lora_indices(model)
                )
                assert tuple(model.components) == expected
                assert all(state.components[id].name == name for name, id in model.components.items())
            assert (model.test_quality is not None) == (model.id in state.retained.values())


def test_accounted_parameters_add_up_to_the_unique_ones(simulation: Simulation) -> None:
    for state in simulation.states:
        if not simulation.controller.is_complete(state) and state.position.generation:
            continue
        models = [state.models[id] for id in state.retained.values()]
        shares = [judging.accounted_params(state, m.components.values(), str(m.task)) for m in models]
        unique = {id for model in models for id in model.components.values()}
        assert judging.total_params(state) == sum(state.components[id].num_params for id in unique)
        assert sum(shares) == pytest.approx(judging.total_params(state))
        if models:
            assert judging.params_per_task(state) == pytest.approx(sum(shares) / len(shares))


def test_one_model_a_task_remains(simulation: Simulation) -> None:
    final = simulation.final
    assert simulation.controller.is_complete(final)
    assert sorted(model.task or "" for model in final.models.values()) == ["", *(task.name for task in TASKS)]
    experiment = simulation.controller.experiment
    chosen = sum(isinstance(entry, SeedsEntry) for entry in simulation.entries)
    assert chosen == (16 - 3 if experiment.seed_choice == "fit" else 0)  # the first three phases have no choice
    assert len(simulation.entries) == 1 + 16 * (experiment.num_generations + 1) + chosen


def test_replay_gives_the_live_states(simulation: Simulation) -> None:
    controller = Controller(simulation.controller.experiment, TASKS)
    assert replay(controller, simulation.entries) == simulation.final
    for cut in range(0, len(simulation.entries), 7):
        resumed = replay(controller, simulation.entries[: cut + 1])
        assert resumed == simulation.states[cut]
        assert controller.seed_candidates(resumed) == controller.seed_candidates(simulation.states[cut])
        if isinstance(next(iter(simulation.entries[cut + 1 :]), None), GenerationEntry):
            assert controller.ask(resumed) == controller.ask(simulation.states[cut])
    assert replay(controller, simulation.entries[21:], simulation.states[20]) == simulation.final


def test_states_and_entries_survive_json(simulation: Simulation) -> None:
    for cut in range(0, len(simulation.states), 11):
        state, entry = simulation.states[cut], simulation.entries[cut]
        text = json.dumps(codec.to_json(entry))
        again = codec.from_json(type(entry), json.loads(text))
        assert again == entry
        assert json.dumps(codec.to_json(again)) == text
        text = json.dumps(state_file.to_json(state))
        same = state_file.from_json(json.loads(text))
        assert same == state
        assert [codec.to_json(m) for m in same.models.values()] == [codec.to_json(m) for m in state.models.values()]
        assert list(same.components.items()) == list(state.components.items())
        assert json.dumps(state_file.to_json(same)) == text


def test_an_equal_run_repeats() -> None:
    again = simulate(run("demo").controller.experiment, TASKS)
    assert (again.entries, again.states) == (run("demo").entries, run("demo").states)


def test_locks_hold(simulation: Simulation) -> None:
    experiment = simulation.controller.experiment
    inherits = experiment.fidelity.trainability == "inherited"
    for before, entry, _ in generations(simulation):
        for child in entry.children:
            cloned = {mutation.target for mutation in child.plan.mutations if mutation.kind == "clone"}
            for plan in child.plan.components:
                if plan.action == "init":
                    assert plan.name == HEAD or is_inserted(plan.name)
                    continue
                assert plan.source is not None
                assert before.components[plan.source].name == plan.name
                is_unlocked = before.is_trainable(plan.source, entry.task)
                if plan.trainable:  # by the one or by the other, never by both
                    by_inheritance = is_unlocked and (inherits or plan.name == HEAD)
                    assert by_inheritance != (plan.name in cloned)
                elif inherits and not child.plan.is_seed:
                    assert not is_unlocked
            if child.plan.is_seed:
                assert before.models[child.plan.parent].task != entry.task
                assert [plan.name for plan in child.plan.components if plan.trainable] == [HEAD]
                assert not child.plan.mutations
            elif experiment.fidelity.encoder_norm == "forced":
                assert {plan.name for plan in child.plan.components if plan.trainable} >= {HEAD, NORM}


def test_no_trained_component_is_reused_or_overwritten(simulation: Simulation) -> None:
    known: dict[str, Any] = {}
    for entry in simulation.entries:
        if isinstance(entry, StartEntry | GenerationEntry):
            for id, record in entry.published.items():
                assert known.setdefault(id, record) == record
                assert record.cycles or record.is_root


def test_each_seed_is_used_once_a_phase(simulation: Simulation) -> None:
    cap = simulation.controller.experiment.max_seed_parents
    used: Counter[tuple[int, int, int]] = Counter()
    for before, entry, _ in generations(simulation):
        for child in entry.children:
            if child.plan.is_seed:
                used[(before.position.task_iteration, before.position.task_index, child.plan.parent)] += 1
    assert set(used.values()) == {1}
    phases = Counter(key[:2] for key in used)
    for (iteration, task), count in phases.items():
        available = task + 1 if iteration == 0 else len(TASKS)
        assert count == (min(cap, available) if cap else available)


def test_verdicts_follow_the_rules(simulation: Simulation) -> None:
    kept = 0
    for before, entry, after in generations(simulation):
        for child in entry.children:
            verdict, parent = child.verdict, before.models[child.plan.parent]
            assert verdict.is_kept == (child.plan.id in after.models)
            assert verdict.is_kept == bool(child.components)
            if child.training.diverged_at == 0:
                assert not verdict.is_kept
            elif parent.task != entry.task:
                assert verdict.is_kept
            else:
                assert verdict.parent_score == simulation.controller.score(before, parent)
                assert verdict.score is not None
                assert verdict.is_kept == (verdict.score > verdict.parent_score)
            if verdict.is_kept:
                kept += 1
                # What was judged before it existed is what its record scores once it does.
                assert simulation.controller.score(after, after.models[child.plan.id]) == verdict.score
    assert kept > 20


def test_the_best_of_the_phase_is_retained(simulation: Simulation) -> None:
    for before, entry in zip(simulation.states, simulation.entries[1:], strict=False):
        if isinstance(entry, PhaseEntry):
            scores = {id: simulation.controller.score(before, before.models[id]) for id in before.active}
            assert scores[entry.retained] == max(scores.values())
            assert entry.retained == min(id for id, value in scores.items() if value == max(scores.values()))


def test_training_cycles_add_up(simulation: Simulation) -> None:
    for before, entry, _ in generations(simulation):
        for child in entry.children:
            if child.verdict.best_cycle is None:
                continue
            for plan in child.plan.components:
                record = entry.published.get(child.components.get(plan.name, ""))
                if record is None or not plan.trainable:
                    continue
                inherited = before.components[plan.source].cycles if plan.source else {}
                assert record.model == child.plan.id
                assert sum(record.cycles.values()) == sum(inherited.values()) + child.verdict.best_cycle + 1


def test_a_run_exercises_what_it_should() -> None:
    seen: Counter[str] = Counter()
    for name in CONFIGS:
        for _, entry, _ in generations(run(name)):
            for child in entry.children:
                seen.update(mutation.kind for mutation in child.plan.mutations)
                seen.update(f"{plan.action} {plan.trainable}" for plan in child.plan.components)
                seen["ancestor's head"] += child.plan.components[-1].action == "clone" and child.plan.is_seed
                seen["diverged"] += child.training.diverged_at == 0
    assert set(seen) >= {
        "clone", "insert", "num_blocks", "hyperparameter", "share False", "clone True", "init True", "resize False",
        "resize True",
    }  # fmt: skip
    assert seen["ancestor's head"] > 0
    assert seen["diverged"] > 0


def test_thousands_of_tasks_cost_little_a_step() -> None:
    tasks = make_tasks(*[10] * 3000)
    world = World(make_experiment(tasks, max_seed_parents=1, num_generations=1), tasks)
    first = world.add("task0", own=["encoder_norm"])
    state = world.state()
    copies = {f"task{i}": i + 1 for i in range(1, 2999)}
    state = State.of(
        models={**state.models, **{id: replace(state.models[first], id=id, task=task) for task, id in copies.items()}},
        components=state.components,
        retained={**state.retained, **copies},
        position=Position(0, 2999, 0),
        active=(),
        seeds=(2999,),
        next_model_id=3000,
    )
    controller = Controller(world.experiment, tasks)
    begin = time.process_time()
    entry = next_entry(controller, state)
    after = controller.tell(state, entry)
    end = controller.tell(after, next_entry(controller, after))
    assert end.position == Position(1, 0, 0)
    assert len(end.retained) == 3000
    assert time.process_time() - begin < 2.0  # about 20 ms alone; work that is quadratic in tasks takes minutes
