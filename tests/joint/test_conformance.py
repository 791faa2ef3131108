"""Every learner of `conformance.LEARNERS` keeps to what the trainer relies on."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import munet
from munet.joint.learner import Place
from tests.joint import tiny
from tests.joint.conformance import LEARNERS, Candidate, same
from tests.joint.toy import make

METHODS = Path(munet.__file__).parent / "methods"
# A learner that brings its own loop needs one of these.
FORBIDDEN = (
    "munet.store", "orbax", "time", "munet.training.saves",
    "munet.joint.saving", "munet.joint.course", "munet.joint.loop",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny.write_data(folder)
    return folder


# Of the four learners that fine-tune the others are variants.
_SLOW = ("separate fine-tuning", "joint adapters")


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW else []) for name in LEARNERS],
)
def candidate(request: pytest.FixtureRequest, folder: Path) -> Candidate:
    return Candidate(LEARNERS[request.param](folder))


def test_a_seed_gives_the_same_state_wherever(candidate: Candidate) -> None:
    learner = candidate.job.learner
    assert same(learner.initial(0), learner.initial(0))
    assert same(learner.initial(0), candidate.initial[0])


def test_it_trains_and_compiles_once(candidate: Candidate) -> None:
    sums = candidate.programs.taken(candidate.trained.loss_sums)
    assert set(sums[0]) == {stream.name for stream in candidate.job.streams}
    assert all(math.isfinite(float(value)) and value > 0 for own in sums for value in own.values())
    assert not same(candidate.states[0], candidate.initial[0])
    assert not same(candidate.states[0], candidate.states[1])  # seeds differ
    assert cast(Any, candidate.programs._block)._cache_size() == 1


def test_a_replica_is_a_run_of_its_seed(candidate: Candidate) -> None:
    alone = Candidate(candidate.job, (1,))
    for one, other in zip(jax.tree.leaves(candidate.states[1]), jax.tree.leaves(alone.states[0]), strict=True):
        # Adam divides by gradients of almost nothing: what differs there is not more than a step of it.
        np.testing.assert_allclose(np.float32(one), np.float32(other), rtol=0, atol=2e-5)


def test_it_measures_every_task(candidate: Candidate) -> None:
    job = candidate.job
    for task in job.tasks:
        images, labels = candidate.asked(task)
        classes, losses = candidate.programs.measure(
            candidate.trained.state, task.info.name, jax.numpy.asarray(images), labels, 1
        )
        assert classes.shape == losses.shape == (2, 2, 3)
        assert (classes[:, 0] >= 0).all()
        assert np.isfinite(losses).all()
        assert not losses[:, 1].any()  # a batch that was not asked for


def test_its_products_are_in_float32_on_a_gpu(candidate: Candidate) -> None:
    """XLA's own choice there is TF32, in which a generated weight would differ from the published one."""
    for program in candidate.lowered("cuda"):
        found = re.findall(r"stablehlo\.(?:dot_general|convolution)[^\n]*", program)
        assert found
        rounded = [product for product in found if "HIGHEST" not in product and "f32" in product]
        assert not rounded


def test_it_keeps_the_best_by_group(candidate: Candidate) -> None:
    learner, new, old = candidate.job.learner, candidate.states[0], candidate.initial[0]
    assert same(learner.keep(old, new, dict.fromkeys(learner.groups, jnp.bool_(True))), new)
    assert same(learner.keep(old, new, dict.fromkeys(learner.groups, jnp.bool_(False))), old)
    assert sorted(task for group in learner.groups for task in group) == sorted(
        task.info.name for task in candidate.job.tasks
    )


def test_a_decision_follows_from_its_arguments(candidate: Candidate) -> None:
    state, place = candidate.states[0], Place(0, 3, 6)
    before = jax.tree.map(np.copy, state)
    first, second = candidate.job.learner.decide(state, place), candidate.job.learner.decide(state, place)
    assert same(first[0], second[0])
    assert first[1] == second[1]
    assert same(state, before)


def test_facts_and_components_agree(candidate: Candidate) -> None:
    learner, state = candidate.job.learner, candidate.states[0]
    facts, parts = learner.facts(state), learner.components(state)
    sizes = [sum(array.size for array in part.arrays.values()) for part in parts]
    for task in (task.info.name for task in candidate.job.tasks):
        own = [(part, size) for part, size in zip(parts, sizes, strict=True) if task in part.tasks]
        assert facts[task].params == sum(size for _, size in own)
        assert facts[task].accounted_params == pytest.approx(sum(size / len(part.tasks) for part, size in own))
        assert len({part.name for part, _ in own}) == len(own)
        assert facts[task].flops > 0
    assert sum(one.accounted_params for one in facts.values()) == pytest.approx(sum(sizes))


def test_what_is_frozen_does_not_move_by_a_bit(candidate: Candidate) -> None:
    learner = candidate.job.learner
    before, after = learner.components(candidate.initial[0]), learner.components(candidate.states[0])
    for old, new in zip(before, after, strict=True):
        assert (old.name, old.tasks, old.origin) == (new.name, new.tasks, new.origin)
        is_same = all(np.array_equal(old.arrays[path], new.arrays[path]) for path in old.arrays)
        assert is_same == (new.origin == "root"), new.name


@pytest.mark.parametrize("file", sorted(METHODS.rglob("*.py")), ids=lambda path: str(path.relative_to(METHODS)))
def test_no_learner_brings_its_own_loop(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            assert not any(f"{name}.".startswith(f"{wrong}.") for wrong in FORBIDDEN), f"{file.name} imports {name}"


def test_the_toy_conforms(tmp_path: Path) -> None:
    candidate = Candidate(make(tmp_path))
    test_a_seed_gives_the_same_state_wherever(candidate)
    test_it_trains_and_compiles_once(candidate)
    test_facts_and_components_agree(candidate)
