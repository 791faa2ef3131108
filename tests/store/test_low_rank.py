"""Layers stored as what they add to another one: what is stored, what comes back, and what is found to be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from munet.errors import CorruptionError
from munet.store import Store, codec
from munet.store.components import ComponentStore
from munet.store.low_rank import Update, materialised
from munet.types import ComponentId, ComponentRecord, Leaf

# Rows and columns of a kernel with three axes may be split in two ways.
SHAPES = {"query/kernel": (24, 3, 8), "out/kernel": (3, 8, 24), "mlp/kernel": (24, 40), "mlp/bias": (40,)}
SIDES = {"query/kernel": (24, 24), "out/kernel": (24, 24), "mlp/kernel": (24, 40)}


def arrays(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {path: random.standard_normal(shape).astype(np.float32) for path, shape in sorted(SHAPES.items())}


def record(stored: dict[str, np.ndarray], base: ComponentId | None) -> ComponentRecord:
    leaves = {path: Leaf(array.shape) for path, array in stored.items()}
    return ComponentRecord("encoderblock_0", leaves, "clone" if base is None else "low_rank", base=base)


@pytest.mark.parametrize("rank", [1, 2, 8])
def test_what_comes_back_is_the_base_plus_the_product(rank: int) -> None:
    base, layer = arrays(0), arrays(1)
    stored = Update(layer, base).stored(rank)
    back = materialised(stored, base)
    assert {path: array.shape for path, array in back.items()} == SHAPES
    for path, (rows, columns) in SIDES.items():
        u, v = stored[f"{path}/U"], stored[f"{path}/V"]
        assert (u.shape[-1], v.shape[0], u.dtype.name, v.dtype.name) == (rank, rank, "float32", "float32")
        product = u.reshape(rows, rank).astype(np.float64) @ v.reshape(rank, columns)
        np.testing.assert_allclose(back[path], base[path] + product.reshape(base[path].shape), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(u), np.linalg.norm(v), rtol=1e-5)  # the singular values are shared
    np.testing.assert_array_equal(back["mlp/bias"], layer["mlp/bias"])
    assert not any(array.flags.writeable for array in back.values())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), rank=st.integers(1, 10))
def test_an_update_of_some_rank_is_whole_in_that_rank(seed: int, rank: int) -> None:
    base = arrays(seed)
    random = np.random.default_rng(seed + 1)
    layer = dict(base)
    for path, (rows, columns) in SIDES.items():
        product = random.standard_normal((rows, rank)) @ random.standard_normal((rank, columns))
        layer[path] = (base[path] + product.reshape(base[path].shape) / 10).astype(np.float32)
    back = materialised(Update(layer, base).stored(rank), base)
    for path in SHAPES:
        np.testing.assert_allclose(back[path], layer[path], rtol=1e-6, atol=1e-6)


def test_no_other_product_of_a_rank_comes_nearer() -> None:
    """What is lost is what the singular values left out say (Eckart and Young)."""
    base, layer = arrays(0), arrays(1)
    back = materialised(Update(layer, base).stored(3), base)
    for path, sides in SIDES.items():
        values = np.linalg.svd((layer[path] - base[path]).reshape(sides), compute_uv=False)
        lost = np.linalg.norm(layer[path] - back[path])
        np.testing.assert_allclose(lost, np.linalg.norm(values[3:]), rtol=1e-4)


def test_parameters_by_hand() -> None:
    update = Update(arrays(1), arrays(0))
    assert update.num_params(1) == 48 + 48 + 64 + 40
    assert update.num_params(12) == 576 + 576 + 12 * 64 + 40  # two factors of rank 12 are as large as 24 x 24
    assert update.num_params(100) == 576 + 576 + 960 + 40
    for rank in (1, 12, 100):
        stored = update.stored(rank)
        assert sum(array.size for array in stored.values()) == update.num_params(rank)
        assert record(stored, "a" * 64).num_params == update.num_params(rank)


def test_the_record_says_the_shapes_of_the_layer_and_survives_json() -> None:
    low = record(Update(arrays(1), arrays(0)).stored(2), "a" * 64)
    assert {path: leaf.shape for path, leaf in low.layer_leaves.items()} == SHAPES
    assert list(low.layer_leaves) == sorted(SHAPES)
    assert low.layer_size == 576 + 576 + 960 + 40
    assert codec.from_json(ComponentRecord, codec.to_json(low)) == low


def test_a_record_without_a_base_is_written_as_ever() -> None:
    """Ids are hashes over it: those of older versions stay what they are."""
    assert list(codec.to_json(record(arrays(0), None))) == ["name", "leaves", "origin", "parent", "model", "cycles"]


@pytest.fixture
def store(tmp_path: Path) -> ComponentStore:
    return Store(tmp_path).components


def put(store: ComponentStore) -> tuple[ComponentId, ComponentId]:
    base, layer = arrays(0), arrays(1)
    base_id = store.put(record(base, None), base)
    stored = Update(layer, base).stored(2)
    return base_id, store.put(record(stored, base_id), stored)


def test_a_layer_is_loaded_whole(store: ComponentStore) -> None:
    base_id, low_id = put(store)
    loaded = store.load(low_id)
    expected = materialised(Update(arrays(1), arrays(0)).stored(2), arrays(0))
    assert loaded.keys() == expected.keys()
    for path, array in expected.items():
        np.testing.assert_array_equal(loaded[path], array)
    np.testing.assert_array_equal(store.load(base_id)["mlp/kernel"], arrays(0)["mlp/kernel"])


@pytest.mark.parametrize("which", [0, 1])
def test_a_flipped_byte_of_the_base_or_of_a_factor_is_found(which: int, store: ComponentStore) -> None:
    ids = put(store)
    file = Path(store.path) / f"{ids[which]}.safetensors"
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(CorruptionError, match=f"{ids[which]}.*does not hold the bytes"):
        store.load(ids[1])


def test_a_base_that_is_missing_low_rank_itself_or_of_other_shapes_is_refused(store: ComponentStore) -> None:
    base_id, low_id = put(store)
    stored = Update(arrays(2), arrays(0)).stored(1)
    nested = store.put(record(stored, low_id), stored)
    with pytest.raises(CorruptionError, match="no whole layer"):
        store.load(nested)
    small = {path: array[..., :5] for path, array in arrays(0).items()}
    other = store.put(record(stored, store.put(record(small, None), small)), stored)
    with pytest.raises(CorruptionError, match="no whole layer of its shapes"):
        store.load(other)
    Path(store.path, f"{base_id}.safetensors").unlink()
    with pytest.raises(CorruptionError, match=f"{base_id}.*is missing"):
        store.load(low_id)
