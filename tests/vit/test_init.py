"""Initial values: distributions, independence of streams; position resizing as scipy does it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from munet import rng
from munet.vit.architecture import component_leaves, get_variant
from munet.vit.init import init_component, resize_position_embedding

TI = get_variant("Ti/16")


def new(name: str, path: tuple[str | int, ...] = ("a",), adapter_dim: int = 64) -> dict[str, np.ndarray]:
    leaves = component_leaves(TI, name, image_size=32, adapter_dim=adapter_dim, num_classes=7, lora_rank=32)
    arrays = init_component(rng.key_data(path), TI, name, leaves)
    assert {path: (array.shape, str(array.dtype)) for path, array in arrays.items()} == {
        path: (leaf.shape, leaf.dtype) for path, leaf in leaves.items()
    }
    return arrays


def test_new_heads_are_zero() -> None:
    assert all(not array.any() for array in new("head").values())


def test_new_adapters_are_lecun_normal_then_zero() -> None:
    adapter = new("residual_adapter_1")
    kernel = adapter.pop("Dense_0/kernel")
    assert kernel.std() == pytest.approx((1 / 192) ** 0.5, rel=0.02)
    assert abs(kernel.mean()) < 0.002
    bound = 2 * (1 / 192) ** 0.5 / 0.8796  # cut at two deviations of the uncut normal
    assert bound * 0.98 < np.abs(kernel).max() <= bound * 1.0001
    assert (adapter.pop("LayerNorm_0/scale") == 1).all()
    assert all(not array.any() for array in adapter.values())


def test_new_low_rank_updates_are_lecun_normal_then_zero() -> None:
    update = new("lora_1")
    assert set(update) == {"query/A", "query/B", "value/A", "value/B"}
    for projection in ("query", "value"):
        assert update[f"{projection}/A"].shape == (192, 32)
        assert update[f"{projection}/A"].std() == pytest.approx((1 / 192) ** 0.5, rel=0.03)
        assert not update[f"{projection}/B"].any()
    assert not np.array_equal(update["query/A"], update["value/A"])


def test_blocks_are_xavier_uniform() -> None:
    block = new("encoderblock_0")
    query, up, down = (
        block[f"{path}/kernel"]
        for path in ("MultiHeadDotProductAttention_1/query", "MlpBlock_3/Dense_0", "MlpBlock_3/Dense_1")
    )
    assert np.abs(query).max() == pytest.approx((6 / 384) ** 0.5, rel=1e-3)
    assert np.abs(up).max() == pytest.approx((6 / 960) ** 0.5, rel=1e-3)
    assert np.abs(down).max() == pytest.approx((6 / 960) ** 0.5, rel=1e-3)
    assert query.std() == pytest.approx((2 / 384) ** 0.5, rel=0.02)


def test_same_key_same_bytes_and_every_leaf_has_its_own_stream() -> None:
    first, again, other = new("encoderblock_0"), new("encoderblock_0"), new("encoderblock_0", ("b",))
    for path, array in first.items():
        np.testing.assert_array_equal(array, again[path])
    query, key = (first[f"MultiHeadDotProductAttention_1/{name}/kernel"].ravel() for name in ("query", "key"))
    assert abs(np.corrcoef(query, key)[0, 1]) < 0.02
    assert abs(np.corrcoef(query, other["MultiHeadDotProductAttention_1/query/kernel"].ravel())[0, 1]) < 0.02


GOLDEN = (0.00373262, -0.06246210, -0.13866924)


def test_golden_values_so_that_a_library_update_cannot_change_them_unnoticed() -> None:
    kernel = new("residual_adapter_0", ("golden", 7), adapter_dim=8)["Dense_0/kernel"]
    np.testing.assert_allclose(kernel[0, :3], GOLDEN, rtol=1e-5)


@pytest.mark.parametrize(("old", "size"), [(32, 48), (32, 64), (32, 16), (64, 32), (48, 80), (16, 48), (80, 224)])
def test_position_resize_is_scipy_zoom_with_the_class_token_apart(old: int, size: int) -> None:
    grid, new_grid = old // 16, size // 16
    array = np.random.default_rng(0).normal(size=(1, grid * grid + 1, 6)).astype(np.float32)
    resized = resize_position_embedding(array, old, size, 16)
    zoomed = scipy.ndimage.zoom(
        array[0, 1:].reshape(grid, grid, 6), (new_grid / grid, new_grid / grid, 1), order=1
    ).reshape(new_grid * new_grid, 6)
    assert resized.dtype == np.float32
    assert resized.shape == (1, new_grid * new_grid + 1, 6)
    np.testing.assert_array_equal(resized[:, 0], array[:, 0])
    np.testing.assert_allclose(resized[0, 1:], zoomed, atol=1e-6)


def test_position_resize_to_the_same_size_is_the_array_itself() -> None:
    array = np.random.default_rng(0).normal(size=(1, 5, 6)).astype(np.float32)
    assert resize_position_embedding(array, 32, 32, 16) is array
