"""Versions of a root's blocks: with all of them equal a routed root is the root, and a row picks what it computes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from munet import roots
from munet.methods.gumbel_matrix import inference, networks, root_layers
from munet.methods.gumbel_matrix.network import Network, component_name
from munet.training.assemble import resized_position
from munet.vit import flops, forward
from munet.vit.architecture import POSITION, get_variant, path_names

SIZE, BLOCKS, VERSIONS = 32, 2, 3
DEMO = get_variant("demo/16")
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, SIZE, SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def root() -> dict[str, Any]:
    arrays: dict[str, Any] = dict(roots.find("demo").load(BLOCKS))
    arrays[POSITION] = resized_position(arrays[POSITION], SIZE, DEMO)
    return arrays


@pytest.fixture(scope="module")
def network() -> Network:
    return networks.vit("demo/16", BLOCKS, VERSIONS, SIZE)


def parameters(network: Network, root: dict[str, Any], noise: float) -> dict[str, Any]:
    return root_layers.versions(("test",), network.chains(), root, noise)


def test_equal_versions_are_the_root(network: Network, root: dict[str, Any]) -> None:
    params = parameters(network, root, 0.0)
    nested = {name: unflatten_dict(dict(leaves), sep="/") for name, leaves in root.items()}
    expected = forward.features(DEMO, nested, jnp.asarray(IMAGES), num_blocks=BLOCKS)
    for row in ([1.0, 1.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]):
        found = network.features(params, [jnp.array(row)] * BLOCKS, jnp.asarray(IMAGES))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_model_computes_the_versions_of_its_row(network: Network, root: dict[str, Any]) -> None:
    params = parameters(network, root, 0.3)
    head = {"kernel": np.ones((DEMO.width, 4), np.float32), "bias": np.zeros(4, np.float32)}
    rows = [jnp.array([0.0, 1.0, 1.0]), jnp.array([1.0, 0.0, 0.0])]
    expected = network.features(params, rows, jnp.asarray(IMAGES)) @ head["kernel"]
    used = {name: leaves for name, leaves in params.items() if name not in ("layer_0.component_0",)}
    model = inference.model_of(network, ("011", "100"), {**used, "head": head})
    np.testing.assert_allclose(model(jnp.asarray(IMAGES)), expected, rtol=1e-4, atol=1e-4)
    assert model.num_outputs == 4
    assert [len(layer.components) for layer in model.network.layers] == [2, 1]


def test_versions_differ_by_noise_of_the_stated_size(network: Network, root: dict[str, Any]) -> None:
    params = parameters(network, root, 0.1)
    leaf = "MlpBlock_3/Dense_0/kernel"
    kernel = np.asarray(root["encoderblock_1"][leaf])
    versions = [params[component_name(1, place)][f"0/{leaf}"] for place in range(VERSIONS)]
    assert not np.array_equal(versions[0], versions[1])
    for version in versions:
        assert np.std(version - kernel) == pytest.approx(0.1 * np.std(kernel), rel=0.05)
    bias = "MlpBlock_3/Dense_0/bias"
    np.testing.assert_array_equal(params[component_name(1, 0)][f"0/{bias}"], root["encoderblock_1"][bias])
    np.testing.assert_array_equal(params["stem"]["0/kernel"], root["embedding"]["kernel"])
    again = parameters(network, root, 0.1)
    np.testing.assert_array_equal(versions[0], again[component_name(1, 0)][f"0/{leaf}"])


def test_shapes_and_costs_are_those_of_the_root(network: Network, root: dict[str, Any]) -> None:
    drawn = network.initial(("test",))
    versions = parameters(network, root, 0.0)
    for name, leaves in versions.items():
        assert {path: leaf.shape for path, leaf in leaves.items()} == {
            path: leaf.shape for path, leaf in drawn[name].items()
        }
    assert drawn.keys() == versions.keys()
    one = np.array([True, False, False])
    expected = flops.forward(DEMO, path_names(BLOCKS), {"image_size": SIZE}, 7)
    assert network.flops([one] * BLOCKS, 7) == expected
    assert network.flops([np.ones(3, bool)] * BLOCKS, 7) > 2 * expected
    assert network.problems() == []


def test_a_version_is_a_clone_of_its_block(network: Network) -> None:
    ids = {name: f"id of {name}" for name in path_names(BLOCKS)}
    found = root_layers.parents(network.chains(), ids)
    assert {found[component_name(1, place)] for place in range(VERSIONS)} == {"id of encoderblock_1"}
    assert found["layer_1.after"] == "id of encoder_norm"
    assert "stem" not in found  # three layers together
