"""What float32 means where the hardware would rather compute in bfloat16: programs lowered for a TPU and a GPU."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from munet.config import Experiment
from munet.evolution.search_space import default_hyperparameters
from munet.vit import architecture, forward

VARIANT = architecture.get_variant("Ti/16")


@pytest.fixture(scope="module")
def params() -> dict[str, object]:
    draw = np.random.default_rng(0)
    settings = default_hyperparameters(Experiment(variant="Ti/16"))
    return {
        name: unflatten_dict(
            {
                path: draw.normal(size=leaf.shape).astype(np.float32)
                for path, leaf in architecture.model_leaves(VARIANT, name, settings, 10).items()
            },
            sep="/",
        )
        for name in architecture.path_names(1)
    }


def products(params: dict[str, object], platform: str, dtype: str = "float32") -> list[str]:
    """The matrix products of a gradient, as they are lowered for a platform that is not here."""

    def loss(params: dict[str, object], images: jax.Array) -> jax.Array:
        return forward.logits(VARIANT, params, images, num_blocks=1, dtype=dtype).sum()

    images = np.zeros((2, 32, 32, 3), np.float32)
    text = jax.jit(jax.grad(loss)).trace(params, images).lower(lowering_platforms=(platform,)).as_text()
    return re.findall(r"stablehlo\.dot_general[^\n]*", text)


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_float32_products_are_float32_products_forward_and_backward(params: dict[str, object], platform: str) -> None:
    found = products(params, platform)
    assert len(found) > 20
    assert all("precision = [HIGHEST, HIGHEST]" in product for product in found)


def test_bfloat16_is_a_single_pass_but_for_the_head(params: dict[str, object]) -> None:
    found = products(params, "tpu", "bfloat16")
    exact = [product for product in found if "HIGHEST" in product]
    assert 0 < len(exact) <= 3  # the head: forward, and its two gradients
    assert all("bf16" not in product for product in exact)
    assert all("bf16" in product for product in found if product not in exact)


def test_who_sets_jaxs_own_precision_gets_it(params: dict[str, object]) -> None:
    with jax.default_matmul_precision("tensorfloat32"):
        assert not any("HIGHEST" in product for product in products(params, "cuda"))
