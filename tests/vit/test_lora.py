"""Laws of low-rank updates: identity at insertion, zeros are as good as absent, merging changes nothing."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from munet.vit.architecture import get_variant, num_params, path_names
from munet.vit.init import merge_lora
from tests.vit.trees import TINY, initial_params, random_params, train

BOTH = (0, 1)


def trained_like(seed: int = 0) -> dict[str, Any]:
    """Two blocks, both with a low-rank update whose factors are not zero."""
    return random_params(TINY, 2, loras=BOTH, seed=seed)


def zeros(tree: Any) -> Any:
    return jax.tree.map(np.zeros_like, tree)


def without(params: dict[str, Any]) -> dict[str, Any]:
    return {name: leaf for name, leaf in params.items() if not name.startswith("lora_")}


@pytest.mark.parametrize(("variant", "rank", "count"), [("Ti/16", 8, 6_144), ("Ti/16", 2, 1_536), ("B/16", 16, 49_152)])
def test_parameter_counts(variant: str, rank: int, count: int) -> None:
    """4 * width * rank: A and B of the query and of the value projection."""
    assert num_params(get_variant(variant), "lora_0", lora_rank=rank) == count == 4 * get_variant(variant).width * rank


def test_it_stands_between_the_adapter_and_its_block() -> None:
    names = path_names(2, adapters=[1], loras=[0, 1])
    assert names[3:7] == ("lora_0", "encoderblock_0", "residual_adapter_1", "lora_1")


def test_a_new_one_changes_nothing_bit_for_bit() -> None:
    params = {**random_params(TINY, 2), **{f"lora_{i}": initial_params(TINY, 2, loras=BOTH)[f"lora_{i}"] for i in BOTH}}
    np.testing.assert_array_equal(train(params)[1], train(without(params))[1])


def test_it_updates_queries_and_values_of_its_own_block() -> None:
    params = trained_like()
    for block in BOTH:
        for projection in ("query", "value"):
            factors = params[f"lora_{block}"][projection]
            kernel = np.tensordot(factors["A"], factors["B"], axes=1)
            attention = params[f"encoderblock_{block}"]["MultiHeadDotProductAttention_1"]
            changed = attention[projection]["kernel"] + kernel
            params[f"encoderblock_{block}"]["MultiHeadDotProductAttention_1"] = {
                **attention,
                projection: {**attention[projection], "kernel": changed},
            }
    np.testing.assert_allclose(train(without(params))[1], train(trained_like())[1], atol=2e-6)


def test_merging_gives_the_same_function_and_plain_blocks() -> None:
    params = trained_like()
    flat = merge_lora({name: flatten_dict(leaves, sep="/") for name, leaves in params.items()})
    assert set(flat) == set(path_names(2))
    merged = {name: unflatten_dict(leaves, sep="/") for name, leaves in flat.items()}
    assert np.abs(train(merged)[1] - train(without(params))[1]).max() > 1e-2
    np.testing.assert_allclose(train(merged)[1], train(params)[1], atol=2e-6)


def test_a_slot_of_zeros_is_as_good_as_absent_and_stays_so() -> None:
    """In the slot of a child without LoRA: same outputs, and gradients of exactly zero, so that it never fills."""
    params = random_params(TINY, 2)
    slots = {f"lora_{i}": zeros(trained_like()[f"lora_{i}"]) for i in BOTH}
    loss, logits, gradients = train({**params, **slots})
    plain_loss, plain_logits, plain = train(params)
    np.testing.assert_array_equal(logits, plain_logits)
    assert loss == plain_loss
    for name in slots:
        assert not any(leaf.any() for leaf in jax.tree.leaves(gradients[name]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), without(gradients), plain)


def test_zeros_that_pad_a_lower_rank_change_nothing_and_stay_zero() -> None:
    params = random_params(TINY, 2, loras=BOTH, lora_rank=2)
    padded = dict(params)
    for name in ("lora_0", "lora_1"):
        padded[name] = {
            projection: {
                "A": np.pad(factors["A"], ((0, 0), (0, 1))),
                "B": np.pad(factors["B"], ((0, 1), (0, 0), (0, 0))),
            }
            for projection, factors in params[name].items()
        }
    _, logits, gradients = train(padded)
    np.testing.assert_allclose(logits, train(params)[1], atol=1e-6)
    for name in ("lora_0", "lora_1"):
        for factors in gradients[name].values():
            assert not factors["A"][:, 2].any()
            assert not factors["B"][2].any()
            assert factors["A"][:, :2].any()
