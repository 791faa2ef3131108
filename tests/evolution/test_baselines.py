"""Parameters per task of every baseline, by walking the components of simulated runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest

from munet.config import Baseline, Experiment
from munet.config.evolve import BaselineKind
from munet.evolution import judging, schedule
from munet.evolution.controller import Controller
from munet.evolution.state import initial_state
from munet.types import ComponentRecord, GenerationEntry, PhaseEntry
from munet.vit.architecture import get_variant, model_leaves, path_names
from tests.evolution.simulation import make_experiment, make_tasks, simulate, start_entry
from tests.evolution.world import World, part, trained

CHARACTERS = make_tasks(10, 37, 10, 10, 1623, 10, 10, 10)
DECATHLON = make_tasks(1000, 10, 100, 43, 2, 1623, 101, 100, 47, 102)
INPUTS = {"embedding", "cls", "posembed_input"}


def baseline(kind: BaselineKind, tasks: Any = CHARACTERS, **options: Any) -> Experiment:
    children = options.pop("children", 2)
    large = tasks is DECATHLON
    experiment = make_experiment(
        tasks,
        variant="B/16" if large else "Ti/16",
        num_blocks=12 if large else 3,
        baseline=Baseline(kind, **options),
        children_per_generation=children,
    )
    defaults = replace(experiment.defaults, image_size=80 if large else 32)
    return replace(experiment, defaults=defaults)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("multi_head", {}, "0.227"),
        ("top_layers", {"frozen_blocks": 3}, "0.227"),
        ("top_layers", {"frozen_blocks": 2}, "0.617"),
        ("top_layers", {"frozen_blocks": 1}, "1.006"),
        ("top_layers", {"frozen_blocks": 0}, "1.395"),
        ("full", {}, "1.525"),
        ("adapters", {"adapter_dim": 8}, "0.238"),
        ("adapters", {"adapter_dim": 16}, "0.248"),
        ("adapters", {"adapter_dim": 32}, "0.266"),
        ("adapters", {"adapter_dim": 64}, "0.303"),
        ("adapters", {"adapter_dim": 128}, "0.377"),
        ("adapters", {"adapter_dim": 256}, "0.525"),
        ("adapters", {"adapter_dim": 512}, "0.820"),
        ("lora", {"lora_rank": 2}, "0.232"),
        ("lora", {"lora_rank": 8}, "0.246"),
        ("lora", {"lora_rank": 32}, "0.301"),
    ],
)
def test_params_per_task_on_benchmark_1(kind: BaselineKind, options: dict[str, int], expected: str) -> None:
    assert params_per_task(baseline(kind, **options), CHARACTERS, 3) == expected


@pytest.mark.parametrize("rank", [1, 8, 64])
def test_params_per_task_of_lora_are_those_of_the_formula(rank: int) -> None:
    """docs/howto/smaller_systems.md: multi-head's plus 4 * width * rank for every block; from component trees."""
    experiment = baseline("lora", lora_rank=rank)
    states = [simulate(one, CHARACTERS).final for one in (experiment, baseline("multi_head"))]
    assert judging.params_per_task(states[0]) == judging.params_per_task(states[1]) + 3 * 4 * 192 * rank


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("multi_head", {}, "8.809"),
        ("top_layers", {"frozen_blocks": 1}, "78.98"),
        ("full", {}, "85.91"),
        ("adapters", {"adapter_dim": 512}, "18.28"),
    ],
)
def test_params_per_task_on_benchmark_2(kind: BaselineKind, options: dict[str, int], expected: str) -> None:
    digits = len(expected.split(".")[1])
    assert params_per_task(baseline(kind, DECATHLON, **options), DECATHLON, digits) == expected


def params_per_task(experiment: Experiment, tasks: Any, digits: int) -> str:
    return f"{total_params(experiment, tasks) / len(tasks) / 1e6:.{digits}f}"


def total_params(experiment: Experiment, tasks: Any) -> int:
    """Unique parameters in use, leaf by leaf."""
    state = simulate(experiment, tasks).final
    unique = {id for model in state.models.values() if model.task for id in model.components.values()}
    total = sum(math.prod(leaf.shape) for id in unique for leaf in state.components[id].leaves.values())
    assert total == judging.total_params(state)
    assert judging.params_per_task(state) == total / len(tasks)
    return total


@dataclass(frozen=True)
class Counts:
    """What a whole of one kind has, written out by hand."""

    width: int
    inputs: int  # embedding, class token, position embedding
    block: int
    norm: int
    num_blocks: int

    def adapter(self, dim: int) -> int:
        return 2 * self.width + (2 * self.width + 1) * dim + self.width


TI = Counts(192, 147_648 + 192 + 960, 444_864, 384, 3)
B = Counts(768, 590_592 + 768 + 26 * 768, 7_087_872, 1_536, 12)
BENCHMARKS = [pytest.param(TI, CHARACTERS, id="benchmark 1"), pytest.param(B, DECATHLON, id="benchmark 2")]


@pytest.mark.parametrize(("counts", "tasks"), BENCHMARKS)
def test_every_number_of_frozen_blocks_has_exactly_the_derived_parameters(counts: Counts, tasks: Any) -> None:
    heads = sum((counts.width + 1) * task.num_classes for task in tasks)
    for frozen in range(counts.num_blocks + 1):
        tuned = (counts.num_blocks - frozen) * counts.block + counts.norm
        expected = counts.inputs + frozen * counts.block + len(tasks) * tuned + heads
        assert total_params(baseline("top_layers", tasks, frozen_blocks=frozen), tasks) == expected
    trunk = counts.inputs + counts.num_blocks * counts.block
    assert total_params(baseline("full", tasks), tasks) == len(tasks) * (trunk + counts.norm) + heads
    assert total_params(baseline("multi_head", tasks), tasks) == trunk + len(tasks) * counts.norm + heads


@pytest.mark.parametrize(("counts", "tasks"), BENCHMARKS)
def test_every_adapter_width_has_exactly_the_derived_parameters(counts: Counts, tasks: Any) -> None:
    heads = sum((counts.width + 1) * task.num_classes for task in tasks)
    trunk = counts.inputs + counts.num_blocks * counts.block
    for dim in (8, 16, 32, 64, 128, 256, 512):
        own = counts.norm + counts.num_blocks * counts.adapter(dim)
        found = total_params(baseline("adapters", tasks, adapter_dim=dim), tasks)
        assert found == trunk + len(tasks) * own + heads
    assert TI.adapter(512) == 197_696
    assert B.adapter(512) == 789_248


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("multi_head", {}, set()),
        ("top_layers", {"frozen_blocks": 3}, set()),
        ("top_layers", {"frozen_blocks": 1}, {"encoderblock_1", "encoderblock_2"}),
        ("top_layers", {"frozen_blocks": 0}, {"encoderblock_0", "encoderblock_1", "encoderblock_2"}),
        ("full", {}, set(path_names(3))),
        ("adapters", {}, {"residual_adapter_0", "residual_adapter_1", "residual_adapter_2"}),
        ("lora", {"lora_rank": 4}, {"lora_0", "lora_1", "lora_2"}),
    ],
)
def test_trained_layers(kind: BaselineKind, options: dict[str, int], expected: set[str]) -> None:
    experiment = baseline(kind, children=3, **options)
    plan = Controller(experiment, CHARACTERS).ask(initial_state(start_entry(experiment, CHARACTERS)))
    assert [child.id for child in plan.children] == [1, 2, 3]
    for child in plan.children:
        assert trained(child) == expected | {"head", "encoder_norm"}
        assert (child.parent, child.is_seed) == (0, False)
        assert all(mutation.forced for mutation in child.mutations)
        assert {m.target for m in child.mutations} == trained(child) - {"head"}
        if kind == "adapters":
            assert child.hyperparameters["adapter_dim"] == 512
        if kind == "lora":
            assert child.hyperparameters["lora_rank"] == 4
        if kind != "full":
            assert not INPUTS & trained(child)


@pytest.mark.parametrize("kind", ["adapters", "tuned_adapters", "lora", "multi_head", "top_layers"])
def test_adapters_that_the_root_has_are_trained_as_those_that_are_inserted(kind: BaselineKind) -> None:
    """By what trains adapters; frozen elsewhere, but above the layers that stay frozen."""
    experiment = baseline(kind, adapter_dim=32, lora_rank=4, frozen_blocks=1)  # the width by default
    world = World(experiment, CHARACTERS)
    of_root = world.models[0].components
    for index in (0, 2):
        name = f"residual_adapter_{index}"
        leaves = model_leaves(get_variant("Ti/16"), name, {"adapter_dim": 32, "image_size": 32}, 0)
        world.components[f"{name}@0"] = ComponentRecord(name, leaves, "root")
        of_root = {**of_root, name: f"{name}@0"}
    world.models[0] = replace(world.models[0], components=of_root)
    child = Controller(experiment, CHARACTERS).ask(world.state()).children[0]
    expected = {
        "lora": {"lora_0", "lora_1", "lora_2"},
        "multi_head": set(),
        "top_layers": {"encoderblock_1", "encoderblock_2", "residual_adapter_2"},
    }
    adapters = {"residual_adapter_0", "residual_adapter_1", "residual_adapter_2"}
    assert trained(child) == {"head", "encoder_norm"} | expected.get(kind, adapters)
    if kind.endswith("adapters"):
        assert [part(child, name).action for name in sorted(adapters)] == ["clone", "init", "clone"]


def test_every_task_starts_from_the_root_in_one_generation() -> None:
    simulation = simulate(baseline("full", children=4), CHARACTERS)
    kinds = [type(entry) for entry in simulation.entries[1:]]
    assert kinds == [GenerationEntry, PhaseEntry] * 8
    for entry in simulation.entries[1:]:
        if isinstance(entry, GenerationEntry):
            assert [child.plan.parent for child in entry.children] == [0] * 4
            assert len({len(child.training.qualities) for child in entry.children}) == 1


def test_budget_equals_that_of_evolution() -> None:
    tuned = make_experiment(CHARACTERS)
    task = CHARACTERS[0]
    assert schedule.planned_cycles(baseline("full"), task) == (80,)  # benchmark 1: 5 * 8 * 2
    assert schedule.planned_cycles(replace(baseline("full"), cycles_per_child=30), task) == (480,)  # benchmark 2
    for kind in ("multi_head", "adapters"):
        fixed = replace(tuned, baseline=Baseline(kind))
        one = schedule.images_per_cycle(tuned, task)
        assert schedule.images_of_phase(fixed, task) == 2 * schedule.images_of_phase(tuned, task) == 2 * 8 * 8 * 5 * one
        assert (schedule.num_task_iterations(fixed), schedule.num_generations(fixed)) == (1, 1)
        assert schedule.streams_per_child(fixed)
    assert not schedule.streams_per_child(tuned)
    assert (schedule.num_task_iterations(tuned), schedule.num_generations(tuned)) == (2, 8)
