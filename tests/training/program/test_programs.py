"""The compiled programs as such: how many a fixed run needs, and that accelerators' compilers accept them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.sharding import Mesh

from munet.run.runs import evolve
from munet.training import assemble
from munet.training.program import programs, sharding, signature
from munet.training.program.optimizer import UpdateRule
from tests import tiny_run
from tests.training.children import config, loader_of, random_child, work_of

_IN_THE_HEAD = 3  # products that stay float32: the head's own, and the gradients of its input and its weights
MESH = Mesh(np.array(jax.devices()[:1]).reshape(1, 1, 1), sharding.AXES)


@pytest.fixture
def compiled() -> Iterator[Counter[str]]:
    """How often XLA has compiled what, by JAX's own account, from here on; no program is there yet."""
    programs.train_program.cache_clear()
    programs.evaluate_program.cache_clear()
    counts: Counter[str] = Counter()

    def count(event: str, duration_secs: float, **about: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            counts[str(about.get("fun_name"))] += 1

    jax.monitoring.register_event_duration_secs_listener(count)
    yield counts
    jax.monitoring.unregister_event_duration_listener(count)


def test_a_small_run_compiles_no_more_programs_than_it_did(tmp_path: Path, compiled: Counter[str]) -> None:
    """A program more costs every user many seconds: whoever changes these numbers on purpose does so here."""
    tiny_run.write_data(tmp_path / "data")
    evolve(tiny_run.config(tmp_path / "data"), str(tmp_path / "run"), lambda _: None)
    assert compiled["jit(train_child)"] == programs.train_program.cache_info().currsize == 2
    # One for each kind of child, and none besides for the test accuracies, which are measured in the same ones.
    assert compiled["jit(evaluate_child)"] == programs.evaluate_program.cache_info().currsize == 2


def lowered(program: Any, platform: str) -> Callable[..., export.Exported]:
    """What makes `program`, given arguments, into StableHLO for a platform."""
    return export.export(program, platforms=[platform])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_both_programs_lower_for_accelerators(platform: str, dtype: str) -> None:
    """Lowering needs no such hardware; it finds what a backend cannot do."""
    children = [random_child(seed=index, id=index + 1) for index in range(2)]
    own = [signature.of_child(child, work_of(config(batch_size=8))) for child in children]
    joint = replace(own[0].join(own[1]), dtype=dtype)
    work, load = work_of(config(batch_size=8)), loader_of(children)
    arrays = assemble.stack([assemble.assemble(child, joint, work, load) for child in children])
    images = jnp.zeros((3, 8, joint.image_size, joint.image_size, 3))
    labels = jnp.zeros((3, 8), jnp.int32)
    state = programs.init_state(arrays.tuned)
    train = lowered(programs.train_program(joint, MESH, UpdateRule()), platform)(
        state, arrays.fixed, arrays.control, images, labels, jnp.int32(3)
    )
    assert [out.dtype for out in train.out_avals] == [leaf.dtype for leaf in jax.tree.leaves(state)]
    products = [line for line in train.mlir_module().splitlines() if "stablehlo.dot_general" in line]
    assert sum("bf16" in line for line in products) == (len(products) - _IN_THE_HEAD if dtype == "bfloat16" else 0)
    evaluate = lowered(programs.evaluate_program(joint.for_evaluation, MESH), platform)(
        {**arrays.fixed, **arrays.tuned}, arrays.control.gates, images, jnp.int32(3)
    )
    assert evaluate.out_avals[0].shape == (2, 3, 8)
