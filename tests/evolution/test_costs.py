"""The score's factors for FLOPs and latency: a product, off at 1 bit for bit, decided by what the journal holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from munet.config import Experiment
from munet.evolution import costs, judging
from munet.evolution.controller import Controller, replay
from munet.evolution.judging import judge_child
from munet.evolution.state import EvolutionError
from munet.store import codec
from munet.types import CycleQualities, GenerationEntry, Quality
from tests.evolution.simulation import make_experiment, make_tasks, simulate
from tests.evolution.world import World

TASKS = make_tasks(10, 20)
BOTH: dict[str, Any] = {"scale_factor": 0.9, "flops_factor": 0.5, "latency_factor": 0.7}


def scored(model: dict[str, Any] | None = None, latency: float | None = 3e-3, **factors: float) -> float:
    """The score of a model of quality 0.8 whose root takes 2 ms."""
    world = World(make_experiment(TASKS, **factors), TASKS)
    id = world.add("task0", quality=80, **(model or {}))
    world.models[0] = replace(world.models[0], latency=2e-3)
    world.models[id] = replace(world.models[id], latency=latency)
    return judging.score(world.state(), world.models[id], world.experiment)


def test_the_score_is_a_product() -> None:
    world = World(make_experiment(TASKS), TASKS)
    relative = costs.relative_flops(world.experiment, world.models[0].components, {"image_size": 32}, 10)
    plain = scored(scale_factor=0.9)
    assert scored(**BOTH) == pytest.approx(plain * 0.5**relative * 0.7 ** (3 / 2), rel=1e-12)
    assert scored(scale_factor=0.9, flops_factor=0.5) == pytest.approx(plain * 0.5**relative, rel=1e-12)


def test_at_one_nothing_changes_bit_for_bit() -> None:
    for scale in (1.0, 0.3):
        world = World(make_experiment(TASKS, scale_factor=scale), TASKS)
        id = world.add("task0", quality=83, adapters=[1])
        state, model = world.state(), world.models[id]
        accounted = judging.accounted_params(state, model.components.values(), "task0")
        assert judging.score(state, model, world.experiment) == judging.penalised(
            Quality(83, 100), accounted, world.experiment
        )
    assert scored(scale_factor=1.0) == 0.8


def test_more_arithmetic_and_more_time_score_lower() -> None:
    models: list[dict[str, Any]] = [{"blocks": 2}, {}, {"adapters": [0]}, {"adapters": [0], "image_size": 48}]
    scores = [scored(model, flops_factor=0.5) for model in models]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4
    times = [scored(latency=latency, latency_factor=0.5) for latency in (1e-3, 2e-3, 2.1e-3)]
    assert times == sorted(times, reverse=True)
    assert times[1] == pytest.approx(0.8 * 0.5)


def test_a_latency_that_was_not_measured_is_an_error() -> None:
    with pytest.raises(EvolutionError, match=r"latency_factor = 0\.5 asks for measured latencies"):
        scored(latency=None, latency_factor=0.5)


def test_a_child_is_scored_as_the_model_that_it_becomes() -> None:
    simulation = simulate(small(insertions=("adapter", "lora"), mutation_probability=0.4, **BOTH), TASKS)
    compared = 0
    for before, entry, after in zip(simulation.states, simulation.entries[1:], simulation.states[1:], strict=False):
        if not isinstance(entry, GenerationEntry):
            continue
        assert all(child.latency is not None for child in entry.children)
        for child in entry.children:
            if child.verdict.is_kept:
                model = after.models[child.plan.id]
                assert model.latency == child.latency
                assert simulation.controller.score(
                    replace(before, components=after.components), model
                ) == pytest.approx(child.verdict.score, rel=1e-12)
                compared += 1
    assert compared > 10


def test_replay_and_judging_again_need_the_journal_only() -> None:
    simulation = simulate(small(latency_factor=0.6, mutation_probability=0.4), TASKS)
    controller = Controller(simulation.controller.experiment, TASKS)
    assert replay(controller, simulation.entries) == simulation.final
    for before, entry in zip(simulation.states, simulation.entries[1:], strict=False):
        if isinstance(entry, GenerationEntry):
            results = {child.plan.id: child for child in entry.children}
            verdicts = controller.judge(before, controller.ask(before), results)
            assert verdicts == {child.plan.id: child.verdict for child in entry.children}


def test_where_latency_does_not_count_journals_do_not_name_it() -> None:
    with_it, without = (simulate(small(latency_factor=factor), TASKS).entries for factor in (0.5, 1.0))
    assert '"latency"' in json.dumps(codec.to_json(with_it[0]))
    assert '"latency"' in json.dumps(codec.to_json(with_it[1]))
    assert all('"latency"' not in json.dumps(codec.to_json(entry)) for entry in without)
    assert codec.from_json(type(with_it[1]), codec.to_json(with_it[1])) == with_it[1]


def test_factors_change_decisions() -> None:
    def kept(**factors: float) -> list[int]:
        final = simulate(small(mutation_probability=0.4, **factors), TASKS).final
        return sorted(final.retained.values())

    assert kept(flops_factor=0.05) != kept()
    assert kept(latency_factor=0.05) != kept()


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ({}, ""),
        ({"scale_factor": 0.5}, ""),
        ({"flops_factor": 0.5}, " (penalised for FLOPs)"),
        (BOTH, " (penalised for size, FLOPs, latency)"),
    ],
)
def test_verdicts_name_what_the_score_is_penalised_for(factors: dict[str, float], expected: str) -> None:
    simulation = simulate(small(**factors), TASKS, stop=lambda state: len(state.active) > 0)
    reasons = [child.verdict.reason for entry in simulation.entries[1:] for child in entry.children]  # type: ignore[union-attr]
    assert all(("penalised" in reason) == bool(expected) for reason in reasons if "finite" not in reason)
    assert any(expected in reason for reason in reasons)


def test_a_diverged_child_is_judged_without_a_score() -> None:
    world = World(make_experiment(TASKS, flops_factor=0.5), TASKS)
    child = simulate(small(), TASKS, stop=lambda state: len(state.models) > 1).entries[1].children[0].plan  # type: ignore[union-attr]
    verdict = judge_child(world.state(), world.experiment, child, CycleQualities((Quality(1, 2),), 0), 10)
    assert (verdict.is_kept, verdict.reason) == (False, "gave no finite result; diverged in cycle 1")


def test_structures_differ_where_the_forward_pass_does() -> None:
    sizes: dict[str, Any] = {"image_size": 32, "adapter_dim": 8, "lora_rank": 4, "learning_rate": 0.1}
    base = costs.structure(["encoderblock_0", "encoderblock_1"], sizes, 10)
    assert base == "i32:b2:c10"
    adapter = costs.structure(["encoderblock_0", "residual_adapter_1", "encoderblock_1"], sizes, 10)
    assert adapter == "i32:b2:c10:a8@1"
    assert costs.structure(["lora_0", "encoderblock_0", "encoderblock_1"], sizes, 10) == "i32:b2:c10:r4@0"
    assert costs.structure(["encoderblock_0"], {**sizes, "adapter_dim": 64, "learning_rate": 1.0}, 10) == "i32:b1:c10"


def small(**changes: Any) -> Experiment:
    return make_experiment(TASKS, **{"num_generations": 3, "children_per_generation": 4, **changes})
